/**
 * A static executable for linux/amd64 or linux/arm64, assembled here: fixtures are real programs, and no compiler is needed for a
 * platform that is not this one. It prints "hello from ARCH", then says whether a file is absent, and exits 0 if it is, 1 if not.
 */

export type Architecture = 'amd64' | 'arm64'

/** Puts out a little-endian instruction once every label's address is known; `at` is its own address. */
type Instruction = { readonly size: number; readonly encode: (at: number, address: (label: string) => number) => Buffer }
type Line = Instruction | { readonly label: string }
type Texts = { readonly hello: Buffer; readonly path: Buffer; readonly absent: Buffer; readonly present: Buffer }

const BASE = 0x400000
/** The ELF header and one program header. */
const HEADERS = 64 + 56
/** e_machine of the ELF specification's processor supplements. */
const MACHINES = { amd64: 62, arm64: 183 } as const

/** The executable's bytes. `absent` is the absolute path of the file that should not be there. */
export function helloElf(architecture: Architecture, { absent }: { readonly absent: string }): Buffer {
  const texts: Texts = {
    hello: Buffer.from(`hello from ${architecture}\n`),
    path: Buffer.from(`${absent}\0`),
    absent: Buffer.from('deleted file absent\n'),
    present: Buffer.from('deleted file present\n'),
  }
  const body = assemble(architecture === 'amd64' ? amd64(texts) : arm64(texts), texts)
  return Buffer.concat([headers(MACHINES[architecture], body.length), body])
}

function assemble(lines: readonly Line[], texts: Texts): Buffer {
  const labels = new Map<string, number>()
  let at = BASE + HEADERS
  for (const line of lines) {
    if ('label' in line) labels.set(line.label, at)
    else at += line.size
  }
  for (const [name, text] of Object.entries(texts)) {
    labels.set(name, at)
    at += text.length
  }
  const address = (label: string): number => labels.get(label) ?? Number.NaN
  let position = BASE + HEADERS
  const code = lines.flatMap((line) => {
    if ('label' in line) return []
    const bytes = line.encode(position, address)
    position += line.size
    return [bytes]
  })
  return Buffer.concat([...code, ...Object.values(texts)])
}

/** write(1, hello); access(path, F_OK) is -ENOENT? write the verdict; exit with it. Intel SDM volume 2. */
function amd64(texts: Texts): Line[] {
  const bytes = (...all: number[]): Instruction => ({ size: all.length, encode: () => Buffer.from(all) })
  const withImmediate = (opcode: number, value: number): Instruction => {
    const encoded = Buffer.from([opcode, 0, 0, 0, 0])
    encoded.writeInt32LE(value, 1)
    return { size: 5, encode: () => encoded }
  }
  const eax = (value: number): Instruction => withImmediate(0xb8, value)
  const edi = (value: number): Instruction => withImmediate(0xbf, value)
  const edx = (value: number): Instruction => withImmediate(0xba, value)
  const ebx = (value: number): Instruction => withImmediate(0xbb, value)
  const lea = (modrm: number, label: string): Instruction => ({
    size: 7,
    encode: (at, address) => {
      const encoded = Buffer.from([0x48, 0x8d, modrm, 0, 0, 0, 0])
      encoded.writeInt32LE(address(label) - (at + 7), 3)
      return encoded
    },
  })
  const rsi = (label: string): Instruction => lea(0x35, label)
  const rdi = (label: string): Instruction => lea(0x3d, label)
  const jump = (opcode: number, label: string): Instruction => ({
    size: 2,
    encode: (at, address) => Buffer.from([opcode, (address(label) - (at + 2)) & 0xff]),
  })
  const syscall = bytes(0x0f, 0x05)
  return [
    ...[eax(1), edi(1), rsi('hello'), edx(texts.hello.length), syscall],
    ...[eax(21), rdi('path'), bytes(0x31, 0xf6), syscall], // xor esi, esi
    ...[bytes(0x83, 0xf8, 0xfe), jump(0x75, 'there')], // cmp eax, -2; jne
    ...[ebx(0), rsi('absent'), edx(texts.absent.length), jump(0xeb, 'verdict')],
    { label: 'there' },
    ...[ebx(1), rsi('present'), edx(texts.present.length)],
    { label: 'verdict' },
    ...[eax(1), edi(1), syscall],
    ...[eax(60), bytes(0x89, 0xdf), syscall], // mov edi, ebx
  ]
}

/** The same with faccessat, since arm64 has no access. Arm ARM, "A64 base instructions". */
function arm64(texts: Texts): Line[] {
  const word = (encode: (at: number, address: (label: string) => number) => number): Instruction => ({
    size: 4,
    encode: (at, address) => {
      const encoded = Buffer.alloc(4)
      encoded.writeUInt32LE(encode(at, address) >>> 0)
      return encoded
    },
  })
  const movz = (register: number, value: number): Instruction => word(() => 0xd2800000 | (value << 5) | register)
  const movn = (register: number, value: number): Instruction => word(() => 0x92800000 | (value << 5) | register)
  const adr = (register: number, label: string): Instruction =>
    word((at, address) => {
      const offset = address(label) - at
      return 0x10000000 | ((offset & 3) << 29) | (((offset >> 2) & 0x7ffff) << 5) | register
    })
  const branch = (opcode: number, shift: number, mask: number, label: string): Instruction =>
    word((at, address) => opcode | ((((address(label) - at) >> 2) & mask) << shift))
  const bNe = (label: string): Instruction => branch(0x54000001, 5, 0x7ffff, label)
  const b = (label: string): Instruction => branch(0x14000000, 0, 0x3ffffff, label)
  const cmnX0 = (value: number): Instruction => word(() => 0xb100001f | (value << 10))
  const movX0X19 = word(() => 0xaa1303e0)
  const svc = word(() => 0xd4000001)
  return [
    ...[movz(8, 64), movz(0, 1), adr(1, 'hello'), movz(2, texts.hello.length), svc],
    ...[movz(8, 48), movn(0, 99), adr(1, 'path'), movz(2, 0), svc], // AT_FDCWD is -100, that is ~99
    ...[cmnX0(2), bNe('there')],
    ...[movz(19, 0), adr(1, 'absent'), movz(2, texts.absent.length), b('verdict')],
    { label: 'there' },
    ...[movz(19, 1), adr(1, 'present'), movz(2, texts.present.length)],
    { label: 'verdict' },
    ...[movz(8, 64), movz(0, 1), svc],
    ...[movz(8, 93), movX0X19, svc],
  ]
}

/** Elf64_Ehdr and one PT_LOAD, readable and executable, for the whole file (ELF-64 Object File Format 1.5). */
function headers(machine: number, bodySize: number): Buffer {
  const out = Buffer.alloc(HEADERS)
  out.write('\x7fELF\x02\x01\x01', 'latin1')
  out.writeUInt16LE(2, 16) // ET_EXEC
  out.writeUInt16LE(machine, 18)
  out.writeUInt32LE(1, 20)
  out.writeBigUInt64LE(BigInt(BASE + HEADERS), 24) // e_entry
  out.writeBigUInt64LE(64n, 32) // e_phoff
  out.writeUInt16LE(64, 52)
  out.writeUInt16LE(56, 54)
  out.writeUInt16LE(1, 56)
  out.writeUInt16LE(64, 58)
  out.writeUInt32LE(1, 64) // PT_LOAD
  out.writeUInt32LE(5, 68) // PF_R | PF_X
  out.writeBigUInt64LE(BigInt(BASE), 80)
  out.writeBigUInt64LE(BigInt(BASE), 88)
  out.writeBigUInt64LE(BigInt(HEADERS + bodySize), 96)
  out.writeBigUInt64LE(BigInt(HEADERS + bodySize), 104)
  out.writeBigUInt64LE(0x10000n, 112) // pages of 64 KiB exist on arm64
  return out
}
