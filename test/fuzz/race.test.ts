/** Renames race against an extraction: whatever moves in the tree while it is written, the kernel resolves below the layer's root. */

import { once } from 'node:events'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { failureOf } from '../../src/failure/failure.ts'
import { AT, close, cstr, EAGAIN, O, openat, openat2, RESOLVE } from '../../src/sys/libc.ts'
import { lacking } from '../integration/lacking.ts'
import { type TarPart, tar } from '../support/tar.ts'
import { describeTree } from '../support/victim.ts'
import { diffIdOf, openLab } from '../unpack/lab.ts'
import type { Race } from './racer.ts'

interface Racer extends AsyncDisposable {
  swaps(): number
}

async function race(pairs: Race['pairs']): Promise<Racer> {
  const control = new SharedArrayBuffer(8)
  const state = new Int32Array(control)
  state[0] = 1
  const workerData: Race = { pairs, control }
  const worker = new Worker(new URL('./racer.ts', import.meta.url), { workerData, execArgv: [] })
  const exited = once(worker, 'exit')
  await once(worker, 'message')
  return {
    swaps: () => Atomics.load(state, 1),
    [Symbol.asyncDispose]: async () => {
      Atomics.store(state, 0, 0)
      await exited
    },
  }
}

const DIRECTORIES = 200
const each = (make: (at: number) => TarPart): readonly TarPart[] => Array.from({ length: DIRECTORIES }, (_, at) => make(at))
/** More directories than the writer keeps open: it must find them again and again by name. */
const busy: readonly TarPart[] = [
  ...each((at) => ({ name: `d/${at}/`, type: 'dir', mode: 0o750, uid: 3 })),
  ...Array.from({ length: 10 }, (_, round) =>
    each((at) => ({ name: `d/${at}/f${round}`, content: 'x', mode: 0o4755, uid: 7 })),
  ).flat(),
  ...each((at) => ({ name: `d/${at}/precious`, content: 'overwritten' })),
  ...each((at) => ({ name: `d/${at}/.wh.nested` })),
  ...each((at) => ({ name: `d/${at}/link`, type: 'hardlink', link: `d/${(at + 1) % DIRECTORIES}/precious`, mode: 0o777 })),
]
/** Directories that nothing lies in: they are named once more, when they get their attributes. */
const empty: readonly TarPart[] = [
  { name: 'd/', type: 'dir' },
  ...each((at) => ({ name: `d/${at}/`, type: 'dir', mode: 0o2777, uid: 3, gid: 4, mtime: 5, xattrs: { 'user.x': 'y' } })),
  // Time for the swaps to begin.
  ...Array.from({ length: 2000 }, (_, at): TarPart => ({ name: `f${at}`, content: 'x' })),
]
/** Names that a member has, and its hard link's header once more: its inode gets attributes by name. */
const linked: readonly TarPart[] = [
  { name: 'd/0', content: 'x' },
  ...each((at) => ({ name: `d/${at + 1}`, type: 'hardlink', link: 'd/0', mode: 0o2777, uid: 3, mtime: 5 })),
]

describe.skipIf(lacking('root'))('while the tree’s own names change places with links to the victim', () => {
  it.each([
    ['directories that are written to', busy],
    ['directories that get their attributes', empty],
    ['hard links that get theirs', [...linked, ...linked, ...linked]],
  ])('%s: the extraction ends, well or with a failure that has a name, and the victim stays', async (_, layer) => {
    await using lab = await openLab({ maxLayerEntries: 100_000 })
    const blob = tar(layer)
    const before = describeTree(lab.victim)
    const ends = new Map<string, number>()
    let swaps = 0
    for (let round = 0; round < 6; round++) {
      const dir = await lab.dir()
      const count = round % 4 === 0 ? 1 : 8
      const traps = Array.from({ length: count }, (_, at) => join(dir, `trap-${at}`))
      for (const trap of traps) symlinkSync(round % 2 === 0 ? lab.victim : join(lab.victim, 'precious'), trap)
      await using racer = await race(traps.map((trap, at) => [join(dir, 'diff', 'd', `${at * 20 + 1}`), trap]))
      const end = await lab.unpack(blob, { dir, diffId: diffIdOf(blob) }).then(
        () => 'accepted',
        (error: unknown) => failureOf(error).kind,
      )
      ends.set(end, (ends.get(end) ?? 0) + 1)
      swaps += racer.swaps()
    }
    expect(describeTree(lab.victim)).toEqual(before)
    expect([...ends.keys()].filter((end) => !['accepted', 'bad-layer', 'system'].includes(end))).toEqual([])
    expect(swaps).toBeGreaterThan(100)
  })

  it('openat2 gives up in bounded time, with EAGAIN or with what it was asked for', async () => {
    await using temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-race-'))
    const at = (name: string): string => join(temporary.path, name)
    for (const name of ['root', 'root/a', 'root/a/b', 'root/c', 'x', 'y']) mkdirSync(at(name))
    writeFileSync(at('root/c/file'), 'inside')
    writeFileSync(at('file'), 'outside')
    const root = openat(AT.FDCWD, cstr(at('root')), O.PATH | O.DIRECTORY, 0)
    const path = cstr(`${'a/b/../../'.repeat(40)}../../../c/../c/file`)
    await using racer = await race([
      [at('x'), at('y')],
      [at('root/a'), at('x')],
    ])
    let slowest = 0
    let found = 0
    for (const until = performance.now() + 3000; performance.now() < until; ) {
      const start = performance.now()
      const fd = openat2(root, path, O.RDONLY, 0, RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS)
      slowest = Math.max(slowest, performance.now() - start)
      if (fd >= 0) found += close(fd) + 1
      // ENOENT: `a` was the directory without a `b` at that moment.
      else expect([-EAGAIN, -2, -18]).toContain(fd)
    }
    close(root)
    expect(racer.swaps()).toBeGreaterThan(1000)
    expect(found).toBeGreaterThan(0)
    expect(slowest).toBeLessThan(4000)
  })
})
