/** One member of a layer's tar, after everything its headers say about each other has been resolved. */
export type EntryType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'character' | 'block' | 'fifo'

export type TarEntry = {
  readonly type: EntryType
  /** The name as the tar has it: raw bytes in latin1, not cleaned. */
  readonly name: string
  /** A link's target: raw bytes in latin1. */
  readonly linkName: string
  /** Bytes of body that follow; 0 for everything but files, whatever the header says (Go and GNU tar read them so). */
  readonly size: number
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtime: TarTime
  readonly deviceMajor: number
  readonly deviceMinor: number
  readonly xattrs: readonly Xattr[]
  /** A sparse file's map: the body is its data alone. */
  readonly sparse?: Sparse
}

/** Seconds since the epoch, rounded down, and the nanoseconds above. */
export type TarTime = { readonly seconds: number; readonly nanoseconds: number }

/** An extended attribute: name and value are bytes. */
export type Xattr = { readonly name: Buffer; readonly value: Buffer }

/** A run of data in a sparse file. */
export type Extent = { readonly offset: number; readonly length: number }

/** A sparse file: its size with the holes, and its data in order, as it follows in the body. */
export type Sparse = { readonly size: number; readonly data: readonly Extent[] }

/** A tar that breaks the format's rules, or one of ours; `entry` is the member's name in latin1. */
export class BadTar extends Error {
  readonly entry: string | undefined

  constructor(reason: string, entry?: string) {
    super(reason)
    this.entry = entry
  }
}
