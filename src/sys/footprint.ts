/**
 * Giving back memory that was needed once. Of Node's program a start touches 50 MB, work a part of that; and what malloc has free it keeps.
 * Both come back as they are touched again, without the disk: the program's pages stay in the page cache as long as there is room.
 */
import koffi from 'koffi'
import { wrap } from './libc.ts'

const libc = koffi.load(null)
const getauxval = libc.func('getauxval', 'uint64_t', ['ulong'])
const mallopt = libc.func('mallopt', 'int', ['int', 'int'])
const mallocTrim = libc.func('malloc_trim', 'int', ['size_t'])
const madvise = wrap<[address: bigint, length: number, advice: number]>('madvise', 'int', ['uintptr_t', 'size_t', 'int'])

/** getauxval(3): where the kernel put the program's headers, and how many there are. */
const AT_PHDR = 3
const AT_PHNUM = 5
/** elf(5), Elf64_Phdr. */
const PHDR = { size: 56, type: 0, flags: 4, address: 16, length: 40 } as const
const PT = { LOAD: 1, PHDR: 6 } as const
const PF_WRITE = 2
/** On arm64 pages may be larger: parts of one are left alone. */
const LARGEST_PAGE = 65_536n
const MADV_DONTNEED = 4

/** malloc.h. */
const M_MMAP_THRESHOLD = -3
const M_ARENA_MAX = -8
const LARGE_BLOCK = 2 ** 17

/** Threads made from here on share malloc's arena: one each would keep what its thread has freed. */
export function shareArena(): void {
  mallopt(M_ARENA_MAX, 1)
}

/** Large blocks come from the kernel and go back to it at once. By itself malloc would keep room for as much as was ever freed at once. */
export function returnLargeBlocks(): void {
  mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)
}

type Part = { readonly address: bigint; readonly length: number }

/** Unmaps what is not in use of the program's read-only parts, and gives malloc's free pages back. What is refused stays as it is. */
export function shrink(): void {
  for (const { address, length } of readOnlyParts()) madvise(address, length, MADV_DONTNEED)
  mallocTrim(0)
}

/** Node's --use-largepages copies the program to memory that no file stands behind: what is dropped of that is gone. */
const isCopied = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].some((option) => option.includes('--use-largepages'))

/** Where nothing was ever written, not by the loader either: dropped, these pages are read from the program again. */
function readOnlyParts(): readonly Part[] {
  if (isCopied) return []
  const at = BigInt(getauxval(AT_PHDR))
  const headers = Array.from({ length: Number(getauxval(AT_PHNUM)) }, (_, i) => {
    const view = new DataView(koffi.view(at + BigInt(i * PHDR.size), PHDR.size))
    return {
      type: view.getUint32(PHDR.type, true),
      flags: view.getUint32(PHDR.flags, true),
      address: view.getBigUint64(PHDR.address, true),
      length: view.getBigUint64(PHDR.length, true),
    }
  })
  const own = headers.find(({ type }) => type === PT.PHDR)
  if (own === undefined) return []
  const base = at - own.address
  return headers
    .filter(({ type, flags }) => type === PT.LOAD && (flags & PF_WRITE) === 0)
    .flatMap(({ address, length }) => {
      const from = (base + address + LARGEST_PAGE - 1n) & -LARGEST_PAGE
      const end = (base + address + length) & -LARGEST_PAGE
      return from < end ? [{ address: from, length: Number(end - from) }] : []
    })
}
