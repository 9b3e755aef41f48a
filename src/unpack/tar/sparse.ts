/**
 * Sparse files as GNU tar writes them into PAX archives, formats 0.0, 0.1 and 1.0 (GNU tar manual, "Storing Sparse Files"): the body holds
 * only the data, a map says where it belongs. What the map says is checked against the size and the body before any of it is used.
 */
import { BadTar, type Extent, type Sparse } from './entry.ts'

/** What extended headers say: the map itself in 0.0 and 0.1; in 1.0 it is the first part of the body. */
export type SparseRecords = { readonly name?: string; readonly size: number; readonly map: readonly Extent[] | 'in body' }

const PREFIX = 'GNU.sparse.'
/** As much as an extended header may hold (CVE-2025-58183). */
const MAX_MAP = 2 ** 20
const BLOCK = 512

/** In 0.0, keys come in pairs, again and again: they are kept apart, in order. */
export const isMapRecord = (key: string): boolean => key === `${PREFIX}offset` || key === `${PREFIX}numbytes`

export type MapRecord = { readonly key: string; readonly value: string }

/** The sparse file that extended headers speak of, if they do; throws BadTar for a format nobody knows. */
export function sparseRecords(values: ReadonlyMap<string, Buffer>, pairs: readonly MapRecord[]): SparseRecords | undefined {
  const text = (key: string): string => values.get(PREFIX + key)?.toString('latin1') ?? ''
  if (pairs.length === 0 && ![...values.keys()].some((key) => key.startsWith(PREFIX))) return undefined
  const version = `${text('major')}.${text('minor')}`
  const name = text('name')
  if (name.includes('\0')) throw new BadTar('the name of a sparse file contains a NUL byte')
  const common = { ...(name === '' ? {} : { name }), size: sizeOf(text('size'), text('realsize')) }
  if (version === '1.0') return { ...common, map: 'in body' }
  const hasMap = text('map') !== '' || pairs.length > 0
  if (version !== '0.0' && version !== '0.1' && !(version === '.' && hasMap))
    throw new BadTar('an unknown format of sparse files')
  const map = pairs.length > 0 ? pairsMap(pairs) : listMap(text('map'))
  if (number(text('numblocks')) !== map.length) throw new BadTar('a sparse map has another length than it says')
  return { ...common, map }
}

/** Reads the map at the start of a body, a block at a time. */
export function readMap(block: () => Buffer): readonly Extent[] {
  let text = ''
  let at = 0
  let used = 0
  const line = (): number => {
    let end = text.indexOf('\n', at)
    while (end === -1) {
      used += BLOCK
      if (used > MAX_MAP) throw new BadTar('a sparse map of more than 1 MiB')
      text = text.slice(at) + block().toString('latin1')
      at = 0
      end = text.indexOf('\n')
    }
    const value = number(text.slice(at, end))
    at = end + 1
    return value
  }
  const count = line()
  const map: Extent[] = []
  while (map.length < count) map.push({ offset: line(), length: line() })
  return map
}

/** The sparse file of this size and map; throws BadTar where extents overlap, leave the file, or are not what the body holds. */
export function sparseFile(size: number, map: readonly Extent[], body: number): Sparse {
  let end = 0
  let data = 0
  for (const { offset, length } of map) {
    if (offset < end || offset + length > size) throw new BadTar('a sparse map whose data overlaps or lies outside the file')
    end = offset + length
    data += length
  }
  if (data !== body) throw new BadTar(`a sparse map of ${data} bytes of data, and a body of ${body}`)
  return { size, data: map.filter(({ length }) => length > 0) }
}

function sizeOf(size: string, realSize: string): number {
  if (size !== '' && realSize !== '' && size !== realSize) throw new BadTar('a sparse file with two sizes')
  return number(size === '' ? realSize : size)
}

function pairsMap(pairs: readonly MapRecord[]): Extent[] {
  const map: Extent[] = []
  for (let at = 0; at < pairs.length; at += 2) {
    const [offset, length] = [pairs[at], pairs[at + 1]]
    if (offset?.key !== `${PREFIX}offset` || length?.key !== `${PREFIX}numbytes`) throw new BadTar('a sparse map out of order')
    map.push({ offset: number(offset.value), length: number(length.value) })
  }
  return map
}

function listMap(text: string): Extent[] {
  const numbers = text === '' ? [] : text.split(',').map(number)
  if (numbers.length % 2 !== 0) throw new BadTar('a sparse map with half an extent')
  return Array.from({ length: numbers.length / 2 }, (_, at) => ({
    offset: numbers[2 * at] ?? 0,
    length: numbers[2 * at + 1] ?? 0,
  }))
}

function number(text: string): number {
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value)) throw new BadTar('a number of a sparse file is none')
  return value
}
