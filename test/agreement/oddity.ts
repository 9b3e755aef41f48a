/** What makes a member odd, and the pieces that odd members are made from. */
import type { Random } from '../support/random.ts'
import { paxRecord, type TarEntry, type TarPart } from '../support/tar.ts'

/** Makes a member odd; it may take other headers before it, and other members after it. */
export type Oddity = { readonly name: string; readonly apply: (entry: TarEntry, random: Random) => readonly TarPart[] }

export const odd = (name: string, apply: Oddity['apply']): Oddity => ({ name, apply })
export const field = (name: string, at: number, values: readonly [string, ...string[]]): Oddity =>
  odd(name, (entry, random) => [withHeader(entry, (block) => block.write(random.pick(values), at, 'latin1'))])
export const pax = (name: string, key: string, values: readonly [string, ...string[]]): Oddity =>
  odd(name, (entry, random) => extended(entry, { [key]: random.pick(values) }))

/** Runs after the edits the member has already. */
export function withHeader(entry: TarEntry, edit: (block: Buffer) => void): TarEntry {
  return {
    ...entry,
    header: (block) => {
      entry.header?.(block)
      edit(block)
    },
  }
}

export type Records = Readonly<Record<string, string | Uint8Array>>

export const body = (all: Records): Buffer => Buffer.concat(Object.entries(all).map(([key, value]) => paxRecord(key, value)))
export const x = (all: Records): TarPart => ({
  name: 'PaxHeaders/y',
  flag: 'x',
  content: body(all),
})
/** In the member's own extended header, where its writer makes one: two in a row are an oddity of their own. */
export const extended = (entry: TarEntry, all: Records): readonly TarPart[] =>
  entry.format === 'gnu' ? [x(all), entry] : [{ ...entry, pax: { ...entry.pax, ...all } }]
export const g = (all: Readonly<Record<string, string>>): TarPart => ({ global: all })
export const gnuLong = (flag: 'L' | 'K', content: string | Buffer): TarPart => ({
  name: '././@LongLink',
  flag,
  format: 'gnu',
  content,
})
export const file = (entry: TarEntry): TarEntry => ({ ...entry, type: 'file', content: entry.content ?? 'body' })
export const link = (entry: TarEntry, type: 'symlink' | 'hardlink'): TarEntry => {
  const { content: _, ...rest } = entry
  return { ...rest, type, link: entry.link ?? 'target' }
}
export const another: TarEntry = { name: 'behind', content: 'another member' }
