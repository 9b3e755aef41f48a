/** Unpacks layers made on the spot, each beside a victim that nothing may touch. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { type Failure, WindlassError } from '../../src/failure/failure.ts'
import { type DiffId, parseDiffId, sha256 } from '../../src/oci/digest.ts'
import { AT, cstr } from '../../src/sys/libc.ts'
import { removeTree } from '../../src/sys/tree.ts'
import { createUnpacker } from '../../src/unpack/pool.ts'
import type { UnpackedLayer, Unpacker, UnpackLimits, Verdict, Verifier } from '../../src/unpack/unpack.ts'
import { type TarPart, tar } from '../support/tar.ts'
import { makeVictim } from '../support/victim.ts'
import { unpackHere } from './in-process.ts'

export const limits: UnpackLimits = {
  maxUnpackedSize: 2 ** 30,
  maxLayerEntries: 10_000,
  maxCompressionRatio: 1000,
  maxLayerMetadata: 2 ** 22,
}

/** True in `npm run arm64`, where neither confined processes nor openat2 can be had. */
export const isEmulated = process.env.WINDLASS_TEST_EMULATED === '1'

/** `implied` are the directories the tar left out, in latin1. */
export type Unpacked = {
  readonly layer: UnpackedLayer
  readonly implied: readonly string[]
  readonly diff: string
  readonly tarSplit: string
}

export interface Lab extends AsyncDisposable {
  readonly unpacker: Unpacker
  /** What the unpacker warned its owner of. */
  readonly warnings: readonly string[]
  /** A fresh directory beside the victim. */
  dir(): Promise<string>
  /** Unpacks a blob; by default its diffID is its own digest, as for a plain tar. */
  unpack(
    blob: Uint8Array,
    options?: { readonly diffId?: DiffId; readonly chunk?: number; readonly dir?: string },
  ): Promise<Unpacked>
  tree(parts: readonly TarPart[]): Promise<Unpacked>
  /** Compares an unpacked tree with its layer. */
  verify(
    tree: Unpacked,
    options?: Partial<Parameters<Verifier['verify']>[1]> & { readonly lowers?: readonly string[] },
  ): Promise<Verdict>
  /** How a layer that must be refused fails; the victim must not have changed. */
  refusal(blob: Uint8Array, options?: { readonly diffId?: DiffId; readonly dir?: string }): Promise<Failure>
  /** The victim's directory, beside the layers' own: `../../victim` from a layer's root. */
  readonly victim: string
  /** True while nothing outside the layers' own directories was touched, and nothing lies in those but what belongs there. */
  victimUnchanged(): boolean
}

/** Processors enough for every job to have two. */
const beside = { processors: 16, worthAThread: 0 }

export const diffIdOf = (bytes: Uint8Array): DiffId => parseDiffId(sha256(bytes))

/** `threads: 2`: every layer, however small, is inflated by a thread of its own. */
export async function openLab(
  overrides: Partial<UnpackLimits> = {},
  { threads = 1, writesBack = false }: { readonly threads?: 1 | 2; readonly writesBack?: boolean } = {},
): Promise<Lab> {
  await using resources = new AsyncDisposableStack()
  const top = await mkdtemp(join(tmpdir(), 'windlass-unpack-'))
  // Trees here are deeper than the file system calls of Node can go.
  resources.defer(() => void removeTree(AT.FDCWD, cstr(top)))
  const victim = makeVictim(join(top, 'victim'))
  const warnings: string[] = []
  const all = { ...limits, ...overrides }
  const warn = (fields: object, message: string): void => void warnings.push(`${message}: ${JSON.stringify(fields)}`)
  const pool = isEmulated
    ? undefined
    : resources.use(
        createUnpacker({
          workers: 2,
          ...(threads === 2 ? beside : {}),
          limits: all,
          writesBack,
          staging: top,
          layers: top,
          warn,
        }),
      )
  const unpacker = pool ?? unpackHere(all)
  const { signal } = new AbortController()
  let count = 0
  const dir = async (): Promise<string> => {
    const path = join(top, `layer-${count++}`)
    await mkdir(path)
    return path
  }
  const unpack: Lab['unpack'] = async (blob, { diffId = diffIdOf(blob), chunk = 65_536, dir: given } = {}) => {
    const path = given ?? (await dir())
    const source = { kind: 'blob', digest: sha256(blob), size: blob.length, host: 'test' } as const
    await using unpacking = await unpacker.open({ dir: path, diffId, source }, { signal })
    for (let at = 0; at < blob.length; at += chunk) await unpacking.write(blob.subarray(at, at + chunk))
    const layer = await unpacking.finish()
    return { layer, implied: impliedIn(path), diff: join(path, 'diff'), tarSplit: join(path, 'tar-split.gz') }
  }
  const owned = resources.move()
  return {
    unpacker,
    warnings,
    dir,
    unpack,
    tree: (parts) => unpack(tar(parts)),
    verify: async ({ layer, diff, tarSplit }, { lowers = [], ...options } = {}) => {
      if (pool === undefined) throw new Error('nothing is verified here')
      const { diffId, diffSize } = layer
      return await pool.verify({ dir: await dir(), diffId, diff, tarSplit, lowers, among: [], diffSize }, { signal, ...options })
    },
    refusal: async (blob, options) => {
      try {
        await unpack(blob, options)
      } catch (error) {
        if (error instanceof WindlassError) return error.failure
        throw error
      }
      throw new Error('the layer was accepted')
    },
    victim: victim.dir,
    victimUnchanged: () => victim.unchanged() && strays(top).length === 0,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** What lies beside the victim and the layers' directories, or in one of those beside its tree. */
const strays = (top: string): string[] =>
  readdirSync(top).flatMap((name) => {
    if (name === 'victim') return []
    return /^layer-\d+$/.test(name)
      ? readdirSync(join(top, name)).filter((each) => !/^(diff|tar-split\.gz|implied)$/.test(each))
      : [name]
  })

/** What the unpacker has left for the commit in a job's directory. */
export function impliedIn(dir: string): readonly string[] {
  const file = join(dir, 'implied')
  return existsSync(file) ? readFileSync(file, 'latin1').split('\0').slice(0, -1) : []
}

/** The tar-split file's lines. */
export const splitLines = (path: string): { type: number; name?: string; payload: string | null; size?: number }[] =>
  gunzipSync(readFileSync(path))
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))

export const namesIn = (path: string): string[] => readdirSync(path).sort()
export const hashOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex')
