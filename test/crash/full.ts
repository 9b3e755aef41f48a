/**
 * Disks with too little room, by bytes and by inodes, a little more each time: wherever a pull stops, it says so with code UNKNOWN, gives
 * back what it took, and works once there is room.
 */
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeFileSync, writeSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { failureOf } from '../../src/failure/failure.ts'
import { RpcError } from '../../src/rpc/status.ts'
import { check, wrap } from '../../src/sys/libc.ts'
import type { Abortable } from '../../src/task/task.ts'
import { eventually } from '../integration/node.ts'
import { mounted } from '../integration/process.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { makeFleet, putFleet } from './fleet.ts'
import { Alone } from './machine.ts'
import { newTally, type Tally } from './tally.ts'
import { Victim } from './victim.ts'

const fallocate = wrap<[fd: number, mode: number, from: number, length: number]>('fallocate', 'int', [
  'int',
  'int',
  'int64',
  'int64',
])
const FILES_PER_LAYER = 40
/** What the database's journal may grow by before its pages are used again (sqlite.org/wal.html, 1,000 pages), and as much put by. */
const JOURNAL = 6 * 1024 * 1024
const NEARLY = 512 * 1024

export async function runFull(count: number, seed: number, what: 'bytes' | 'inodes', { signal }: Abortable): Promise<Tally> {
  const tally = newTally(`no ${what === 'bytes' ? 'space' : 'inodes'} left (C3)`)
  const fleet = makeFleet(seed, { images: 1, filesPerLayer: FILES_PER_LAYER })
  const [image] = fleet.images
  if (image === undefined) throw new Error('a fleet without an image')
  await using registry = await startRegistry()
  putFleet(registry, fleet)
  await using temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-full-'))
  using _disk = mounted(temporary.path, ['-t', 'tmpfs', '-o', 'size=64M,nr_inodes=4000', 'tmpfs'])
  const victim = new Victim(new Alone(join(temporary.path, 'node')), registry.host, fleet, tally)
  await victim.start({ signal })
  const fresh = roomTaken(temporary.path, what)
  await victim.pull(image, { signal })
  const needed = roomTaken(temporary.path, what) - fresh
  await victim.remove(image, { signal })
  const before = await settled(temporary.path, what, { signal })
  let refused = 0
  for (let run = 0; run < count; run++) {
    const left = Math.floor((needed * 1.2 * run) / count)
    const when = `${left} ${what} left`
    const ballast = join(temporary.path, 'ballast')
    fill(temporary.path, ballast, what, left)
    const code = await victim.pull(image, { signal }).then(
      () => 'OK',
      (error: unknown) => (error instanceof RpcError ? error.code : String(error)),
    )
    if (code !== 'OK') refused++
    if (code !== 'OK' && code !== 'UNKNOWN') tally.manual.push(`${when}: it failed with ${code}`)
    await victim.check(when, { signal })
    if (code !== 'OK') await victim.checkLeftovers(when, { signal })
    rmSync(ballast, { recursive: true })
    await victim.pull(image, { signal }).catch((error: unknown) => tally.manual.push(`${when}, then room: ${String(error)}`))
    await victim.check(`${when}, then room`, { signal })
    await victim.remove(image, { signal })
    const after = await settled(temporary.path, what, { signal })
    if (after > before + (what === 'bytes' ? JOURNAL : 0))
      tally.manual.push(`${when}: ${after} ${what} taken afterwards, ${before} before`)
    tally.runs++
  }
  if (refused === 0) tally.manual.push(`no pull ran out of ${what}: nothing was tried`)
  await victim.kill()
  return tally
}

function roomTaken(dir: string, what: 'bytes' | 'inodes'): number {
  const { blocks, bfree, bsize, files, ffree } = statfsSync(dir)
  return what === 'bytes' ? (blocks - bfree) * bsize : files - ffree
}

/** What is taken once removals are over: nobody tells when that is. */
async function settled(dir: string, what: 'bytes' | 'inodes', { signal }: Abortable): Promise<number> {
  let last = -1
  await eventually(
    async () => {
      const now = roomTaken(dir, what)
      const isSame = now === last
      last = now
      return isSame
    },
    { signal },
  )
  return last
}

function fill(dir: string, ballast: string, what: 'bytes' | 'inodes', left: number): void {
  const { bfree, bsize, ffree } = statfsSync(dir)
  mkdirSync(ballast)
  if (what === 'inodes') {
    for (let i = 0; i < ffree - left - 2; i++) writeFileSync(join(ballast, String(i)), '')
    return
  }
  const fd = openSync(join(ballast, 'bytes'), 'w')
  try {
    const most = Math.max(bfree * bsize - left - NEARLY, 0)
    if (most > 0) check(fallocate(fd, 0, 0, most), 'fallocate', ballast)
    // The rest page by page: what the daemon puts by moves a little meanwhile.
    const page = Buffer.alloc(bsize)
    for (let at = most; statfsSync(dir).bfree * bsize > left; at += bsize) writeSync(fd, page, 0, bsize, at)
  } catch (error) {
    if (failureOf(error).kind !== 'no-space') throw error
  } finally {
    closeSync(fd)
  }
}
