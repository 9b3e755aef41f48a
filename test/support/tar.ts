/**
 * Writes tar archives byte by byte, good ones and broken ones: what layers in tests are made from. No library is in between, because
 * the tests need what libraries refuse to write: names that are no UTF-8, binary xattrs, lying headers.
 */

export type TarType = 'file' | 'dir' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo'

export type TarEntry = {
  /** Raw bytes as a Buffer; a directory's slash is the caller's. */
  readonly name: string | Buffer
  /** `file` by default; any other type flag as one character in `flag`. */
  readonly type?: TarType
  readonly flag?: string
  readonly content?: string | Uint8Array
  readonly link?: string | Buffer
  /** 0o644, or 0o755 for a directory, by default. */
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  /** Seconds; a fraction goes into a PAX record. */
  readonly mtime?: number
  readonly devMajor?: number
  readonly devMinor?: number
  /** Written as SCHILY.xattr.* PAX records, byte for byte. */
  readonly xattrs?: Readonly<Record<string, string | Uint8Array>>
  /** Further PAX records, after those this writer makes. */
  readonly pax?: Readonly<Record<string, string | Uint8Array>>
  /** How what does not fit the ustar header is written: PAX records (default), or GNU L/K entries and base-256 numbers. */
  readonly format?: 'pax' | 'gnu'
  /** The size field, where it shall not be the content's. */
  readonly size?: number
  /** Edits the 512-byte header before its checksum is computed. */
  readonly header?: (block: Buffer) => void
  /** Edits the header after its checksum is in place. */
  readonly corrupt?: (block: Buffer) => void
}

/** A PAX global header, or bytes that go in as they are. */
export type TarPart = TarEntry | { readonly global: Readonly<Record<string, string | Uint8Array>> } | { readonly raw: Uint8Array }

const FLAGS: Readonly<Record<TarType, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  dir: '5',
  fifo: '6',
}

/** The archive with its two zero blocks at the end, or without them where `end` is false. */
export function tar(parts: readonly TarPart[], { end = true } = {}): Buffer {
  return Buffer.concat([...parts.flatMap(writePart), ...(end ? [Buffer.alloc(1024)] : [])])
}

/** One PAX record: its own length in decimal, the key, the value. */
export function paxRecord(key: string, value: string | Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')])
  let length = body.length + 1
  while (String(length).length + body.length !== length) length = String(length).length + body.length
  return Buffer.concat([Buffer.from(String(length)), body])
}

function writePart(part: TarPart): Buffer[] {
  if ('raw' in part) return [Buffer.from(part.raw)]
  if ('global' in part) return member({ name: 'pax_global_header', flag: 'g', content: records(part.global) })
  const entry: TarEntry = {
    ...part,
    name: Buffer.from(part.name),
    ...(part.link === undefined ? {} : { link: Buffer.from(part.link) }),
  }
  return entry.format === 'gnu' ? writeGnu(entry) : writePax(entry)
}

function writeGnu(entry: TarEntry): Buffer[] {
  const long = (flag: string, text: string | Buffer | undefined): Buffer[] =>
    text === undefined || Buffer.from(text).length <= 100
      ? []
      : member({ name: '././@LongLink', flag, mode: 0, content: Buffer.concat([Buffer.from(text), Buffer.alloc(1)]) })
  return [...long('K', entry.link), ...long('L', entry.name), ...member(entry)]
}

function writePax(entry: TarEntry): Buffer[] {
  const extended: Record<string, string | Uint8Array> = {}
  if (Buffer.from(entry.name).length > 100) extended.path = entry.name
  if (entry.link !== undefined && Buffer.from(entry.link).length > 100) extended.linkpath = entry.link
  for (const field of ['uid', 'gid', 'mtime'] as const) {
    const value = entry[field]
    if (value !== undefined && !(Number.isInteger(value) && value >= 0 && value < 8 ** (field === 'mtime' ? 11 : 7)))
      extended[field] = String(value)
  }
  for (const [name, value] of Object.entries(entry.xattrs ?? {})) extended[`SCHILY.xattr.${name}`] = value
  Object.assign(extended, entry.pax)
  const fits: TarEntry = {
    ...entry,
    ...Object.fromEntries((['uid', 'gid', 'mtime'] as const).filter((f) => f in extended).map((f) => [f, 0])),
  }
  return Object.keys(extended).length === 0
    ? member(entry)
    : [...member({ name: 'PaxHeaders/x', flag: 'x', content: records(extended) }), ...member(fits)]
}

const records = (all: Readonly<Record<string, string | Uint8Array>>): Buffer =>
  Buffer.concat(Object.entries(all).map(([key, value]) => paxRecord(key, value)))

function member(entry: TarEntry): Buffer[] {
  const type = entry.type ?? 'file'
  const content = Buffer.from(entry.content ?? '')
  const block = Buffer.alloc(512)
  Buffer.from(entry.name).copy(block, 0, 0, 100)
  number(block, 100, 8, entry.mode ?? (type === 'dir' ? 0o755 : 0o644))
  number(block, 108, 8, entry.uid ?? 0)
  number(block, 116, 8, entry.gid ?? 0)
  number(block, 124, 12, entry.size ?? content.length)
  number(block, 136, 12, Math.floor(entry.mtime ?? 1_700_000_000))
  block.write(entry.flag ?? FLAGS[type], 156, 'latin1')
  if (entry.link !== undefined) Buffer.from(entry.link).copy(block, 157, 0, 100)
  block.write(entry.format === 'gnu' ? 'ustar  \0' : 'ustar\x0000', 257, 'latin1')
  if (type === 'char' || type === 'block') {
    number(block, 329, 8, entry.devMajor ?? 0)
    number(block, 337, 8, entry.devMinor ?? 0)
  }
  entry.header?.(block)
  writeChecksum(block)
  entry.corrupt?.(block)
  return [block, content, Buffer.alloc((512 - (content.length % 512)) % 512)]
}

/** Octal with a closing NUL where the value fits, else base-256: the top bit set, two's complement, big-endian. */
export function number(block: Buffer, at: number, width: number, value: number): void {
  if (value >= 0 && value < 8 ** (width - 1)) {
    block.write(`${value.toString(8).padStart(width - 1, '0')}\0`, at, 'latin1')
    return
  }
  let rest = BigInt(value)
  for (let i = width - 1; i >= 0; i--, rest >>= 8n) block[at + i] = Number(rest & 0xffn)
  block[at] = (block[at] ?? 0) | 0x80
}

/** The sum of all bytes with the checksum's own field taken as spaces. */
export function writeChecksum(block: Buffer): void {
  block.fill(' ', 148, 156)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
}
