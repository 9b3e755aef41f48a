/** What layers may do to a tree, and what they may not. Rows are those of the extraction corpus. */
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { cstr, lgetxattr } from '../../src/sys/libc.ts'
import { type TarPart, tar } from '../support/tar.ts'
import { type Lab, namesIn, openLab } from './lab.ts'

const isRoot = process.getuid?.() === 0
if (!isRoot) console.warn('not root: layers cannot be unpacked, test/unpack/tree.test.ts is skipped')

function xattr(path: string, name: string): Buffer | undefined {
  const value = Buffer.alloc(1024)
  const length = lgetxattr(cstr(path), cstr(name), value, value.length)
  return length < 0 ? undefined : value.subarray(0, length)
}
const isOpaque = (path: string): boolean => xattr(path, 'trusted.overlay.opaque')?.toString() === 'y'
const isWhiteout = (path: string): boolean => {
  const stat = lstatSync(path)
  return stat.isCharacterDevice() && stat.rdev === 0
}

describe.skipIf(!isRoot)('a tree', () => {
  let lab: Lab
  beforeAll(async () => {
    lab = await openLab()
  })
  afterEach(() => expect(lab.victimUnchanged()).toBe(true))
  afterAll(() => lab[Symbol.asyncDispose]())

  const diffOf = async (parts: readonly TarPart[]): Promise<string> => (await lab.tree(parts)).diff
  const refusalOf = (parts: readonly TarPart[]) => lab.refusal(tar(parts))

  it.each([
    ['T1 climbing names', ['../x', '/../../x', 'a/../../x', '../../../../x']],
    ['T2 absolute and doubled names', ['/x', './x', '//x', './/x']],
  ])('%s stay inside', async (_row, names) => {
    for (const name of names) {
      const diff = await diffOf([{ name, content: 'inside' }])
      expect(readFileSync(`${diff}/x`, 'utf8')).toBe('inside')
    }
  })

  it('T3 a symlink to the outside is followed inside the root', async () => {
    const diff = await diffOf([
      { name: 'link', type: 'symlink', link: '../victim' },
      { name: 'link/pwned', content: 'x' },
      { name: 'abs', type: 'symlink', link: '/etc' },
      { name: 'abs/.wh.passwd' },
    ])
    expect(readFileSync(`${diff}/victim/pwned`, 'utf8')).toBe('x')
    expect(isWhiteout(`${diff}/etc/passwd`)).toBe(true)
  })

  it('T4 two hops do not get further than one', async () => {
    const diff = await diffOf([
      { name: 'up', type: 'symlink', link: '..' },
      { name: 'out', type: 'symlink', link: 'up/../victim' },
      { name: 'out/f', content: 'x' },
    ])
    expect(readFileSync(`${diff}/victim/f`, 'utf8')).toBe('x')
  })

  it('T6, T7 hard links reach only into the layer, and to a symlink itself', async () => {
    const diff = await diffOf([
      { name: 'etc/secret', content: 'mine' },
      { name: 'root', type: 'symlink', link: '/' },
      { name: 'a', type: 'hardlink', link: '../../etc/secret' },
      { name: 'b', type: 'hardlink', link: '/etc/secret' },
      { name: 'c', type: 'hardlink', link: 'root/etc/secret' },
      { name: 'pointer', type: 'symlink', link: '../victim/file' },
      { name: 'd', type: 'hardlink', link: 'pointer', mode: 0o777 },
    ])
    expect(statSync(`${diff}/a`).nlink).toBe(4)
    expect(lstatSync(`${diff}/d`).isSymbolicLink()).toBe(true)
  })

  it.each([
    ['T8 a hard link before its target', [{ name: 'a', type: 'hardlink', link: 'b' }, { name: 'b' }]],
    ['T8 a hard link to itself', [{ name: 'a' }, { name: 'a', type: 'hardlink', link: 'a' }]],
    ['T12 a child of a file', [{ name: 'f' }, { name: 'f/child' }]],
    ['T13 a whiteout of nothing', [{ name: '.wh.' }]],
    ['T13 a whiteout of the directory itself', [{ name: 'd/.wh..' }]],
    ['T13 a whiteout of the parent', [{ name: 'd/.wh...' }]],
    ['T26 an unknown type', [{ name: 'x', flag: '7' }]],
    ['T26 an old GNU sparse file', [{ name: 'x', flag: 'S' }]],
    ['T33 an owner that means none', [{ name: 'x', uid: 2 ** 32 - 1 }]],
    ['T33 a negative owner', [{ name: 'x', uid: -1 }]],
    ['T37 a negative size', [{ name: 'x', size: -512 }]],
    ['T47 a name of 256 bytes', [{ name: 'x'.repeat(256) }]],
    ['T25 a device number out of range', [{ name: 'x', type: 'char', devMajor: 70_000 }]],
    ['T46 a NUL in a PAX name', [{ name: 'x', pax: { path: 'a\0b' } }]],
  ] satisfies [string, TarPart[]][])('%s is refused', async (_row, parts) => {
    expect(await refusalOf(parts)).toMatchObject({ kind: 'bad-layer' })
  })

  it('T9, T10 the root keeps its own type and attributes', async () => {
    const diff = await diffOf([
      { name: './', type: 'dir', mode: 0o700, uid: 5 },
      { name: '/.', type: 'symlink', link: '../victim' },
      { name: '..', type: 'symlink', link: '../victim' },
      { name: '', type: 'file', content: 'body is skipped' },
      { name: 'after', content: 'x' },
    ])
    expect(statSync(diff)).toMatchObject({ uid: 0, mode: 0o40755 })
    expect(namesIn(diff)).toEqual(['after'])
  })

  it('T11 the last entry of a name wins, and directories merge', async () => {
    const diff = await diffOf([
      { name: 'a/', type: 'dir', mode: 0o700 },
      { name: 'a/kept' },
      { name: 'a/', type: 'dir', mode: 0o711, uid: 7 },
      { name: 'b/', type: 'dir' },
      { name: 'b/deep/er', content: 'gone' },
      { name: 'b', content: 'a file now' },
      { name: 'c', type: 'symlink', link: 'a' },
      { name: 'c/', type: 'dir' },
      { name: 'c/inside' },
      { name: 'd', content: 'old' },
      { name: 'd', content: 'new' },
      { name: 'b', type: 'symlink', link: 'd' },
    ])
    expect(namesIn(diff)).toEqual(['a', 'b', 'c', 'd'])
    expect(statSync(`${diff}/a`)).toMatchObject({ mode: 0o40711, uid: 7 })
    expect(namesIn(`${diff}/a`)).toEqual(['kept'])
    expect(readlinkSync(`${diff}/b`)).toBe('d')
    expect(namesIn(`${diff}/c`)).toEqual(['inside'])
    expect(readFileSync(`${diff}/d`, 'utf8')).toBe('new')
  })

  it('T14 a directory may be named like a whiteout', async () => {
    const diff = await diffOf([{ name: '.wh.etc/file', content: 'x' }])
    expect(readFileSync(`${diff}/.wh.etc/file`, 'utf8')).toBe('x')
  })

  it('T16-T21 whiteouts hide lower layers, never this one', async () => {
    const diff = await diffOf([
      { name: 'etc/.wh.gone' },
      { name: 'own', content: 'x' },
      { name: '.wh.own' },
      { name: '.wh.twice' },
      { name: '.wh.twice' },
      { name: '.wh.again' },
      { name: 'again/', type: 'dir' },
      { name: 'dir/', type: 'dir' },
      { name: 'dir/kept' },
      { name: '.wh.dir' },
      { name: '.wh.nothing' },
      { name: '.wh.implied' },
      { name: 'implied/child' },
      { name: 'late/file' },
      { name: 'late/.wh..wh..opq' },
      { name: 'missing/.wh..wh..opq' },
    ])
    expect(isWhiteout(`${diff}/etc/gone`)).toBe(true)
    expect(readFileSync(`${diff}/own`, 'utf8')).toBe('x')
    expect(isWhiteout(`${diff}/twice`)).toBe(true)
    expect(isWhiteout(`${diff}/nothing`)).toBe(true)
    for (const name of ['again', 'dir', 'implied', 'late', 'missing'])
      expect([name, isOpaque(`${diff}/${name}`)]).toEqual([name, true])
    expect(namesIn(`${diff}/dir`)).toEqual(['kept'])
    expect(existsSync(`${diff}/late/file`)).toBe(true)
    expect(isOpaque(`${diff}/etc`)).toBe(false)
  })

  it('T23 metadata of aufs is left out, and said to be', async () => {
    const { layer, diff } = await lab.tree([{ name: '.wh..wh.plnk/', type: 'dir' }, { name: '.wh..wh.aufs' }, { name: 'x' }])
    expect(namesIn(diff)).toEqual(['x'])
    expect(layer.warnings.join()).toContain('aufs')
  })

  it('T25, T28 devices, fifos and special bits are as told', async () => {
    const diff = await diffOf([
      { name: 'tty', type: 'char', devMajor: 4, devMinor: 64, mode: 0o620, uid: 0, gid: 5 },
      { name: 'disk', type: 'block', devMajor: 259, devMinor: 300_000 },
      { name: 'pipe', type: 'fifo', mode: 0o600, uid: 9 },
      { name: 'su', content: 'x', mode: 0o4755, uid: 1, gid: 1 },
      { name: 'tmp/', type: 'dir', mode: 0o1777 },
      { name: 'shared/', type: 'dir', mode: 0o2775, gid: 50 },
      { name: 'shared/file', content: 'x' },
      { name: 'shared/implied/below/file' },
    ])
    expect(lstatSync(`${diff}/tty`)).toMatchObject({ mode: 0o20620, gid: 5, rdev: (4 << 8) | 64 })
    expect(lstatSync(`${diff}/disk`).isBlockDevice()).toBe(true)
    expect(lstatSync(`${diff}/pipe`)).toMatchObject({ mode: 0o10600, uid: 9 })
    expect(lstatSync(`${diff}/su`)).toMatchObject({ mode: 0o104755, uid: 1 })
    expect(lstatSync(`${diff}/tmp`).mode & 0o7777).toBe(0o1777)
    expect(lstatSync(`${diff}/shared`).mode & 0o7777).toBe(0o2775)
    expect(lstatSync(`${diff}/shared/file`).gid).toBe(0)
    // As containerd has it: the group comes from the setgid directory, and goes no further.
    expect(lstatSync(`${diff}/shared/implied`)).toMatchObject({ mode: 0o40755, gid: 50 })
    expect(lstatSync(`${diff}/shared/implied/below`)).toMatchObject({ mode: 0o40755, gid: 0 })
  })

  it('T29-T32 xattrs are bytes, and only those a layer may set', async () => {
    const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex')
    const { layer, diff } = await lab.tree([
      {
        name: 'f',
        content: 'x',
        uid: 3,
        xattrs: {
          'security.capability': capability,
          'user.mine': Buffer.from([0xff, 0, 0x80]),
          'trusted.overlay.opaque': 'y',
          'user.overlay.opaque': 'y',
          'security.selinux': 'x',
        },
      },
      { name: 'd/', type: 'dir', xattrs: { 'user.d': 'x', 'trusted.overlay.redirect': '/etc' } },
      { name: 's', type: 'symlink', link: 'f', xattrs: { 'user.on-a-link': 'x' } },
    ])
    expect(xattr(`${diff}/f`, 'security.capability')).toEqual(capability)
    for (const name of ['trusted.overlay.opaque', 'user.overlay.opaque', 'security.selinux'])
      expect(xattr(`${diff}/f`, name)).toBeUndefined()
    expect(xattr(`${diff}/d`, 'trusted.overlay.redirect')).toBeUndefined()
    expect(layer.warnings.length).toBeGreaterThanOrEqual(4)
  })

  it('T34 times are exact to the nanosecond, and those out of range become the epoch', async () => {
    const diff = await diffOf([
      { name: 'd/', type: 'dir', mtime: 1_234_567_890 },
      { name: 'd/f', mtime: 0, pax: { mtime: '1234567890.123456789' } },
      { name: 'd/l', type: 'symlink', link: 'f', mtime: 0, pax: { mtime: '1234567890.000000001' } },
      { name: 'd/old', pax: { mtime: '-1.5' } },
      { name: 'd/far', pax: { mtime: '99999999999' } },
    ])
    const ns = (name: string): bigint => lstatSync(`${diff}/${name}`, { bigint: true }).mtimeNs
    expect(['d', 'd/f', 'd/l', 'd/old', 'd/far'].map(ns)).toEqual([
      1_234_567_890_000_000_000n,
      1_234_567_890_123_456_789n,
      1_234_567_890_000_000_001n,
      0n,
      0n,
    ])
  })

  it('T35, T36 long names in every form; an extended size is the file’s alone', async () => {
    const long = `${'d'.repeat(90)}/${'e'.repeat(120)}/f`
    for (const format of ['pax', 'gnu'] as const) {
      const diff = await diffOf([
        { name: long, content: 'x', format },
        { name: 'l', type: 'symlink', link: long, format },
      ])
      expect(readFileSync(`${diff}/${long}`, 'utf8')).toBe('x')
      expect(readlinkSync(`${diff}/l`)).toBe(long)
    }
    const diff = await diffOf([
      { name: 'sized', content: 'xyz', size: 0, pax: { size: '3' } },
      { name: 'next', content: 'n' },
    ])
    expect(readFileSync(`${diff}/sized`, 'utf8')).toBe('xyz')
  })

  it('T38-T41 bodies of links, global headers, missing trailers and data behind the end', async () => {
    const diff = await diffOf([
      { global: { comment: 'nothing we use' } },
      { name: 'f', content: 'x' },
      { name: 'l', type: 'symlink', link: 'f', header: (block) => block.write('00000000777\0', 124, 'latin1') },
      { name: 'g', content: 'y' },
    ])
    expect(namesIn(diff)).toEqual(['f', 'g', 'l'])
    const noTrailer = tar([{ name: 'f', content: 'x' }], { end: false })
    expect((await lab.unpack(noTrailer)).layer.entries).toBe(1)
    const behind = Buffer.concat([tar([{ name: 'f', content: 'x' }]), Buffer.from('not parsed'), Buffer.alloc(5_000_000)])
    expect((await lab.unpack(behind)).layer).toMatchObject({ entries: 1, diffSize: behind.length })
  })

  it.each([
    ['a bad checksum', tar([{ name: 'f', corrupt: (block) => block.write('999999', 148) }])],
    ['junk', Buffer.alloc(2_048, 'junk')],
    ['an end in a header', tar([{ name: 'f' }]).subarray(0, 300)],
    ['an end in a body', tar([{ name: 'f', content: 'x'.repeat(5_000) }]).subarray(0, 2_000)],
    ['data behind one zero block', Buffer.concat([Buffer.alloc(512), tar([{ name: 'f' }])])],
  ])('T40 %s is refused', async (_what, blob) => {
    expect(await lab.refusal(blob)).toMatchObject({ kind: 'bad-layer' })
  })

  it('T42 an empty stream is an empty layer', async () => {
    for (const blob of [Buffer.alloc(0), tar([])]) expect((await lab.unpack(blob)).layer.entries).toBe(0)
  })

  it('T46, T50 names are bytes', async () => {
    const latin = Buffer.from('caf\xe9', 'latin1')
    const diff = await diffOf([
      { name: latin },
      { name: 'new\nline' },
      { name: 'A' },
      { name: 'a' },
      { name: 'é' },
      { name: 'e\u0301' },
    ])
    const names = readdirSync(diff, { encoding: 'buffer' }).map((name) => name.toString('hex'))
    expect(names).toContain(latin.toString('hex'))
    expect(names.length).toBe(6)
  })

  it('T47 a tree 1,000 deep', async () => {
    const { layer } = await lab.tree([
      { name: `${'d/'.repeat(1_000)}file`, content: 'x' },
      { name: 'd/beside', content: 'y' },
    ])
    expect(layer.implied.length).toBe(1_000)
  })

  it('T56 missing parents are made where a symlink points', async () => {
    const diff = await diffOf([
      { name: 'dang', type: 'symlink', link: '/not/there' },
      { name: 'dang/x', content: 'x' },
      { name: 'loop', type: 'symlink', link: 'loop' },
    ])
    expect(readFileSync(`${diff}/not/there/x`, 'utf8')).toBe('x')
    expect(await refusalOf([{ name: 'loop', type: 'symlink', link: 'loop' }, { name: 'loop/x' }])).toMatchObject({
      kind: 'bad-layer',
    })
  })

  it('T57 the header of a hard link speaks for the inode', async () => {
    const diff = await diffOf([
      { name: 'f', content: 'x', mode: 0o4755, uid: 1 },
      { name: 'l', type: 'hardlink', link: 'f', mode: 0o711, uid: 2, mtime: 5 },
    ])
    expect(statSync(`${diff}/f`)).toMatchObject({ mode: 0o100711, uid: 2, nlink: 2, mtimeMs: 5_000 })
  })
})

describe.skipIf(!isRoot)('bounds', () => {
  it('T44 entries, size and ratio stop a layer', async () => {
    await using lab = await openLab({ maxLayerEntries: 10, maxUnpackedSize: 40_000_000, maxCompressionRatio: 50 })
    const { gzipSync } = await import('node:zlib')
    expect(await lab.refusal(tar(Array.from({ length: 11 }, (_, i) => ({ name: `f${i}` }))))).toMatchObject({
      kind: 'limit',
      setting: 'limits.maxLayerEntries',
    })
    const zeros = tar([{ name: 'zeros', content: Buffer.alloc(30_000_000) }])
    expect(await lab.refusal(gzipSync(zeros))).toMatchObject({ kind: 'limit', setting: 'limits.maxCompressionRatio' })
    const large = tar([{ name: 'large', content: Buffer.alloc(45_000_000, 1) }])
    expect(await lab.refusal(large)).toMatchObject({ kind: 'limit', setting: 'limits.maxUnpackedSize' })
  })

  it('the umask of the process plays no part', async () => {
    const before = process.umask(0o077)
    try {
      await using lab = await openLab()
      const dir = await lab.dir()
      mkdirSync(`${dir}/probe`)
      const { diff } = await lab.tree([{ name: 'open', content: 'x', mode: 0o666 }, { name: 'made/up' }])
      expect(statSync(`${diff}/open`).mode & 0o777).toBe(0o666)
      expect(statSync(`${diff}/made`).mode & 0o777).toBe(0o755)
    } finally {
      process.umask(before)
    }
  })
})
