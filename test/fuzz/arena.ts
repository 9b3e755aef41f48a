/** Where layers are let loose: the real extractors on a directory beside a victim, and a look at everything afterwards. */
import { existsSync, lstatSync, readdirSync } from 'node:fs'
import { mkdir, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { failureOf } from '../../src/failure/failure.ts'
import { parseDiffId } from '../../src/oci/digest.ts'
import { AT, cstr } from '../../src/sys/libc.ts'
import { removeTree } from '../../src/sys/tree.ts'
import { createUnpacker } from '../../src/unpack/pool.ts'
import type { LayerSource, UnpackLimits } from '../../src/unpack/unpack.ts'
import { descriptorsOf } from '../support/children.ts'
import { makeVictim } from '../support/victim.ts'
import type { FuzzLayer, Targets } from './layer.ts'

/** Small, so that layers reach them. */
export const limits: UnpackLimits = {
  maxUnpackedSize: 2 ** 26,
  maxLayerEntries: 2000,
  maxCompressionRatio: 500,
  maxLayerMetadata: 2 ** 18,
}
export const PATIENCE_MS = 10_000

/** `accepted`, or the kind of the refusal; and what must never be. */
export type Outcome = { readonly end: string; readonly wrong: readonly Wrong[] }
export type Wrong = { readonly kind: 'escape' | 'crash' | 'hang' | 'leftover' | 'replay' | 'leak'; readonly detail: string }

export interface Arena extends AsyncDisposable {
  /** The victim's path, names that climb to it, and a file that would appear in the machine's own root. */
  readonly targets: Targets
  attack(layer: FuzzLayer): Promise<Outcome>
  /** Descriptors this process and its extractors hold. Those that idle hold none of a layer's. */
  descriptors(): number
}

export async function openArena(): Promise<Arena> {
  await using resources = new AsyncDisposableStack()
  const top = await mkdtemp(join(tmpdir(), 'windlass-fuzz-'))
  resources.defer(() => void removeTree(AT.FDCWD, cstr(top)))
  const victim = makeVictim(join(top, 'victim'))
  const canary = `/${basename(top)}`
  const jobs = join(top, 'jobs')
  await mkdir(jobs, { mode: 0o700 })
  const unpacker = resources.use(createUnpacker({ workers: 2, limits, staging: jobs, layers: jobs, warn: console.warn }))

  async function unpack(dir: string, layer: FuzzLayer, source: LayerSource): Promise<string> {
    await mkdir(dir)
    const late = AbortSignal.timeout(PATIENCE_MS)
    try {
      await using unpacking = await unpacker.open({ dir, diffId: parseDiffId(layer.diffId), source }, { signal: late })
      if (source.kind === 'blob') await feed(layer.blob, (chunk) => unpacking.write(chunk))
      const done = await unpacking.finish()
      return done.diffId === layer.diffId ? 'accepted' : 'internal: accepted under another diffID'
    } catch (error) {
      if (late.aborted) return 'hang'
      const failure = failureOf(error)
      if (failure.kind === 'internal') return `internal: ${failure.what}`
      // A call that failed for no reason of the layer's.
      return failure.kind === 'system' ? `system: ${failure.operation} ${failure.code}` : failure.kind
    }
  }

  function inspect(dirs: readonly string[], canRemain: boolean): Wrong[] {
    const wrong: Wrong[] = []
    if (!victim.unchanged()) wrong.push({ kind: 'escape', detail: 'the victim changed' })
    if (existsSync(canary)) wrong.push({ kind: 'escape', detail: `${canary} appeared` })
    const strays = [
      ...outside(top, ['victim', 'jobs']),
      ...outside(
        jobs,
        dirs.map((dir) => basename(dir)),
      ),
    ]
    for (const dir of dirs) strays.push(...outside(dir, ['diff', 'tar-split.gz', 'implied']))
    if (lstatSync(jobs).mode !== 0o40700) strays.push('jobs has another mode')
    if (strays.length > 0) wrong.push({ kind: 'escape', detail: `outside the layer: ${strays.join(', ')}` })
    if (canRemain) for (const dir of dirs) removeTree(AT.FDCWD, cstr(dir))
    const left = readdirSync(jobs)
    if (left.length > 0) wrong.push({ kind: 'leftover', detail: left.join(', ') })
    return wrong
  }

  const owned = resources.move()
  return {
    targets: [victim.dir, '../victim', '../../victim', '../../../victim', canary, `../../../../../..${canary}`],
    descriptors: () => descriptorsOf(process.pid),
    attack: async (layer) => {
      const [dir, copy] = [join(jobs, `${layer.seed}`), join(jobs, `${layer.seed}-again`)]
      const end = await unpack(dir, layer, { kind: 'blob', digest: layer.digest, size: layer.blob.length, host: 'fuzz' })
      const wrong = judge(end)
      if (end !== 'accepted') return { end, wrong: [...wrong, ...inspect([dir], true)] }
      const again = await unpack(copy, layer, { kind: 'local', diff: join(dir, 'diff'), tarSplit: join(dir, 'tar-split.gz') })
      if (!['accepted', 'bad-layer', 'digest-mismatch'].includes(again)) wrong.push({ kind: 'replay', detail: again })
      return {
        end: again === 'accepted' ? end : `accepted, copy refused: ${again}`,
        wrong: [...wrong, ...inspect([dir, copy], true)],
      }
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** In pieces of changing size, as a network gives them. */
async function feed(blob: Buffer, write: (chunk: Uint8Array) => Promise<void> | undefined): Promise<void> {
  let size = 1
  for (let at = 0; at < blob.length; at += size, size = Math.min(size * 3, 65_536)) await write(blob.subarray(at, at + size))
}

function judge(end: string): Wrong[] {
  if (end === 'hang') return [{ kind: 'hang', detail: `not done after ${PATIENCE_MS} ms` }]
  return end.startsWith('internal') || end.startsWith('system') ? [{ kind: 'crash', detail: end }] : []
}

const outside = (dir: string, allowed: readonly string[]): string[] => readdirSync(dir).filter((name) => !allowed.includes(name))
