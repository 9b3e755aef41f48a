/**
 * Disks with too little room, by bytes, by inodes and by a quota, a little more each time: wherever a pull stops, it says so with code
 * UNKNOWN, gives back what it took, and works once there is room.
 */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, statfsSync, writeFileSync, writeSync } from 'node:fs'
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

/** What there is too little of. */
export const SCARCE = ['bytes', 'inodes', 'quota'] as const
type Scarce = (typeof SCARCE)[number]

/** A disk whose room is taken away, and given back. */
interface Scarcity extends Disposable {
  readonly dir: string
  taken(): number
  /** Leaves so much of it. */
  squeeze(left: number): void
  relax(): void
}

export async function runFull(count: number, seed: number, what: Scarce, { signal }: Abortable): Promise<Tally> {
  const tally = newTally(`${what === 'quota' ? 'a quota reached' : `no ${what === 'bytes' ? 'space' : 'inodes'} left`} (C3)`)
  const fleet = makeFleet(seed, { images: 1, filesPerLayer: FILES_PER_LAYER })
  const [image] = fleet.images
  if (image === undefined) throw new Error('a fleet without an image')
  await using registry = await startRegistry()
  putFleet(registry, fleet)
  using disk = what === 'quota' ? quota() : filled(what)
  const victim = new Victim(new Alone(join(disk.dir, 'node')), registry.host, fleet, tally)
  await victim.start({ signal })
  const fresh = disk.taken()
  await victim.pull(image, { signal })
  const needed = disk.taken() - fresh
  await victim.remove(image, { signal })
  const before = await settled(disk, { signal })
  let refused = 0
  for (let run = 0; run < count; run++) {
    const left = Math.floor((needed * 1.2 * run) / count)
    const when = `${left} of ${what} left`
    disk.squeeze(left)
    const code = await victim.pull(image, { signal }).then(
      () => 'OK',
      (error: unknown) => (error instanceof RpcError ? error.code : String(error)),
    )
    if (code !== 'OK') refused++
    if (code !== 'OK' && code !== 'UNKNOWN') tally.manual.push(`${when}: it failed with ${code}`)
    await victim.check(when, { signal })
    // A btrfs that is full to its quota removes nothing either.
    if (code !== 'OK' && what !== 'quota') await victim.checkLeftovers(when, { signal })
    disk.relax()
    await victim.pull(image, { signal }).catch((error: unknown) => tally.manual.push(`${when}, then room: ${String(error)}`))
    await victim.check(`${when}, then room`, { signal })
    await victim.remove(image, { signal })
    if (what === 'quota') await victim.checkLeftovers(when, { signal })
    const after = await settled(disk, { signal })
    if (after > before + (what === 'inodes' ? 0 : JOURNAL))
      tally.manual.push(`${when}: ${after} taken afterwards, ${before} before`)
    tally.runs++
  }
  if (refused === 0) tally.manual.push(`no pull ran out of ${what}: nothing was tried`)
  await victim.kill()
  return tally
}

/** What is taken once removals are over: nobody tells when that is. */
async function settled(disk: Scarcity, { signal }: Abortable): Promise<number> {
  let last = -1
  await eventually(
    async () => {
      const now = disk.taken()
      const isSame = now === last
      last = now
      return isSame
    },
    { signal },
  )
  return last
}

/** A tmpfs that other files fill. */
function filled(what: 'bytes' | 'inodes'): Scarcity {
  using resources = new DisposableStack()
  const dir = mkdtempSync(join(tmpdir(), 'windlass-full-'))
  resources.defer(() => rmSync(dir, { recursive: true }))
  resources.use(mounted(dir, ['-t', 'tmpfs', '-o', 'size=64M,nr_inodes=4000', 'tmpfs']))
  const ballast = join(dir, 'ballast')
  const owned = resources.move()
  return {
    dir,
    taken: () => {
      const { blocks, bfree, bsize, files, ffree } = statfsSync(dir)
      return what === 'bytes' ? (blocks - bfree) * bsize : files - ffree
    },
    squeeze: (left) => fill(dir, ballast, what, left),
    relax: () => rmSync(ballast, { recursive: true }),
    [Symbol.dispose]: () => owned.dispose(),
  }
}

/** A subvolume of a btrfs, which keeps count of what lies in it, and a limit to that. */
function quota(): Scarcity {
  using resources = new DisposableStack()
  const top = mkdtempSync(join(tmpdir(), 'windlass-quota-'))
  resources.defer(() => rmSync(top, { recursive: true }))
  const [image, disk] = [join(top, 'image'), join(top, 'disk')]
  const dir = join(disk, 'subvolume')
  const btrfs = (...args: string[]): string => execFileSync('btrfs', args, { encoding: 'utf8' })
  mkdirSync(disk)
  execFileSync('truncate', ['-s', '512M', image])
  execFileSync('mkfs.btrfs', ['-q', image], { stdio: 'ignore' })
  resources.use(mounted(disk, ['-o', 'loop', image]))
  btrfs('quota', 'enable', disk)
  btrfs('subvolume', 'create', dir)
  const taken = (): number => {
    const shown = btrfs('qgroup', 'show', '--raw', '--sync', '-f', dir)
    return Number(/^0\/\d+\s+(\d+)/m.exec(shown)?.[1] ?? Number.NaN)
  }
  // Asked for at the top: below the limit even the call that raises it may be refused.
  const limit = (to: string): void =>
    void btrfs('qgroup', 'limit', to, `0/${btrfs('inspect-internal', 'rootid', dir).trim()}`, disk)
  const owned = resources.move()
  return {
    dir,
    taken,
    squeeze: (left) => limit(String(taken() + left)),
    relax: () => limit('none'),
    [Symbol.dispose]: () => owned.dispose(),
  }
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
