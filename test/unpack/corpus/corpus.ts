/** What the rows of the extraction corpus share: a lab beside a victim, and ways to look at what a layer became. */
import { lstatSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import type { Failure } from '../../../src/failure/failure.ts'
import { cstr, lgetxattr } from '../../../src/sys/libc.ts'
import type { UnpackLimits } from '../../../src/unpack/unpack.ts'
import { type TarPart, tar } from '../../support/tar.ts'
import { type Lab, openLab, type Unpacked } from '../lab.ts'

export const isRoot = process.getuid?.() === 0
if (!isRoot) console.warn('SKIPPED: the extraction corpus needs root')

export type Corpus = {
  readonly lab: () => Lab
  /** The tree of a layer with these members. */
  readonly diffOf: (parts: readonly TarPart[]) => Promise<string>
  readonly unpack: (parts: readonly TarPart[]) => Promise<Unpacked>
  readonly refusalOf: (parts: readonly TarPart[]) => Promise<Failure>
}

/** One lab for a file of tests. After every test the victim, and all else outside the layers, must be as it was. */
export function useCorpus(limits: Partial<UnpackLimits> = {}): Corpus {
  let open: Lab | undefined
  const lab = (): Lab => open ?? expect.fail('the lab is not open')
  beforeAll(async () => {
    open = await openLab(limits)
  })
  afterEach(() => expect(lab().victimUnchanged()).toBe(true))
  afterAll(() => open?.[Symbol.asyncDispose]())
  return {
    lab,
    diffOf: async (parts) => (await lab().tree(parts)).diff,
    unpack: (parts) => lab().tree(parts),
    refusalOf: (parts) => lab().refusal(tar(parts)),
  }
}

export function xattr(path: string, name: string): Buffer | undefined {
  const value = Buffer.alloc(2 ** 16)
  const length = lgetxattr(cstr(path), cstr(name), value, value.length)
  return length < 0 ? undefined : value.subarray(0, length)
}

export const isOpaque = (path: string): boolean => xattr(path, 'trusted.overlay.opaque')?.toString() === 'y'

export function isWhiteout(path: string): boolean {
  const stat = lstatSync(path)
  return stat.isCharacterDevice() && stat.rdev === 0
}

/** Every order of a few things. */
export function orders<T>(of: readonly T[]): T[][] {
  if (of.length < 2) return [[...of]]
  return of.flatMap((first, at) => orders(of.toSpliced(at, 1)).map((rest) => [first, ...rest]))
}

export const badLayer = { kind: 'bad-layer' } as const
