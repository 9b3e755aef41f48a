/** T25, T28–T34, T46, T50: what entries are and carry. */
import { lstatSync, readdirSync, statSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { badLayer, isRoot, useCorpus, xattr } from './corpus.ts'

describe.skipIf(!isRoot)('entries', () => {
  const { unpack, diffOf, refusalOf } = useCorpus()

  it('T25 devices and fifos are made; numbers out of range are refused', async () => {
    const diff = await diffOf([
      { name: 'tty', type: 'char', devMajor: 4, devMinor: 64, mode: 0o620, gid: 5 },
      { name: 'disk', type: 'block', devMajor: 259, devMinor: 300_000 },
      { name: 'pipe', type: 'fifo', mode: 0o600, uid: 9 },
    ])
    expect(lstatSync(`${diff}/tty`)).toMatchObject({ mode: 0o20620, gid: 5, rdev: (4 << 8) | 64 })
    expect(lstatSync(`${diff}/disk`).isBlockDevice()).toBe(true)
    expect(lstatSync(`${diff}/pipe`)).toMatchObject({ mode: 0o10600, uid: 9 })
    for (const [devMajor, devMinor] of [
      [4096, 0],
      [0, 2 ** 20],
      [-1, 0],
      [1, -1],
      [2 ** 32, 0],
    ] as const)
      expect(await refusalOf([{ name: 'x', type: 'char', devMajor, devMinor }])).toMatchObject(badLayer)
  })

  it('T28 setuid, setgid and sticky survive the owner; what is made below a setgid directory is as containerd has it', async () => {
    const diff = await diffOf([
      { name: 'su', content: 'x', mode: 0o4755, uid: 1, gid: 1 },
      { name: 'sg', content: 'x', mode: 0o2755, gid: 5 },
      { name: 'tmp/', type: 'dir', mode: 0o1777 },
      { name: 'shared/', type: 'dir', mode: 0o2775, gid: 50 },
      { name: 'shared/file', content: 'x' },
      { name: 'shared/implied/below/file' },
    ])
    expect(lstatSync(`${diff}/su`)).toMatchObject({ mode: 0o104755, uid: 1 })
    expect(lstatSync(`${diff}/sg`)).toMatchObject({ mode: 0o102755, gid: 5 })
    expect(lstatSync(`${diff}/tmp`).mode & 0o7777).toBe(0o1777)
    expect(lstatSync(`${diff}/shared`).mode & 0o7777).toBe(0o2775)
    expect(lstatSync(`${diff}/shared/file`).gid).toBe(0)
    expect(lstatSync(`${diff}/shared/implied`)).toMatchObject({ mode: 0o40755, gid: 50 })
    expect(lstatSync(`${diff}/shared/implied/below`)).toMatchObject({ mode: 0o40755, gid: 0 })
  })

  it('T29 a capability is the bytes it was, whatever the owner', async () => {
    const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex')
    const binary = Buffer.from([0xff, 0, 0x80, 0x0a, 0x3d])
    const diff = await diffOf([
      { name: 'f', content: 'x', uid: 3, mode: 0o755, xattrs: { 'security.capability': capability, 'user.b': binary } },
    ])
    expect(xattr(`${diff}/f`, 'security.capability')).toEqual(capability)
    expect(xattr(`${diff}/f`, 'user.b')).toEqual(binary)
  })

  it('T30 xattrs that steer overlay are left out, and the log says so', async () => {
    const { layer, diff } = await unpack([
      { name: 'f', xattrs: { 'trusted.overlay.metacopy': '', 'user.overlay.opaque': 'y', 'trusted.x': 'x' } },
      { name: 'd/', type: 'dir', xattrs: { 'trusted.overlay.redirect': '/etc', 'trusted.overlay.opaque': 'y' } },
    ])
    for (const [path, name] of [
      ['f', 'trusted.overlay.metacopy'],
      ['f', 'user.overlay.opaque'],
      ['f', 'trusted.x'],
      ['d', 'trusted.overlay.redirect'],
      ['d', 'trusted.overlay.opaque'],
    ])
      expect(xattr(`${diff}/${path}`, name ?? '')).toBeUndefined()
    expect(layer.warnings.length).toBe(5)
  })

  it('T31 security.selinux is this node’s, not the image’s', async () => {
    const { layer, diff } = await unpack([{ name: 'f', xattrs: { 'security.selinux': 'system_u:object_r:etc_t:s0\0' } }])
    expect(xattr(`${diff}/f`, 'security.selinux')).toBeUndefined()
    expect(layer.warnings.join()).toContain('selinux')
  })

  it('T32 user.* on a symlink or device is refused by the kernel, and only noted', async () => {
    const { layer, diff } = await unpack([
      { name: 's', type: 'symlink', link: 'f', xattrs: { 'user.x': 'x' } },
      { name: 'p', type: 'fifo', xattrs: { 'user.x': 'x' } },
    ])
    expect(lstatSync(`${diff}/s`).isSymbolicLink()).toBe(true)
    expect(layer.warnings.join()).toContain('user.x')
  })

  it('T33 owners up to 2³² − 2 are set; negative ones, and the one that means none, are refused', async () => {
    const diff = await diffOf([
      { name: 'f', uid: 2 ** 32 - 2, gid: 2 ** 31 + 1 },
      { name: 'd/', type: 'dir', uid: 2 ** 31 },
    ])
    expect(statSync(`${diff}/f`)).toMatchObject({ uid: 2 ** 32 - 2, gid: 2 ** 31 + 1 })
    expect(statSync(`${diff}/d`).uid).toBe(2 ** 31)
    for (const id of [2 ** 32 - 1, -1, 2 ** 33])
      for (const owner of [{ uid: id }, { gid: id }])
        for (const format of ['pax', 'gnu'] as const)
          expect(await refusalOf([{ name: 'x', format, ...owner }])).toMatchObject(badLayer)
  })

  it('T34 times are exact to the nanosecond, and those out of range become the epoch', async () => {
    const diff = await diffOf([
      { name: 'd/', type: 'dir', mtime: 0, pax: { mtime: '1234567890.5' } },
      { name: 'd/f', mtime: 0, pax: { mtime: '1234567890.123456789' } },
      { name: 'd/l', type: 'symlink', link: 'f', mtime: 0, pax: { mtime: '1234567890.000000001' } },
      { name: 'd/p', type: 'fifo', mtime: 0, pax: { mtime: '1234567890.9999999999' } },
      { name: 'd/old', pax: { mtime: '-1.5' } },
      { name: 'd/older', mtime: -7, format: 'gnu' },
      { name: 'd/far', pax: { mtime: '99999999999' } },
    ])
    const ns = (name: string): bigint => lstatSync(`${diff}/${name}`, { bigint: true }).mtimeNs
    expect(['d', 'd/f', 'd/l', 'd/p', 'd/old', 'd/older', 'd/far'].map(ns)).toEqual([
      1_234_567_890_500_000_000n,
      1_234_567_890_123_456_789n,
      1_234_567_890_000_000_001n,
      1_234_567_890_999_999_999n,
      0n,
      0n,
      0n,
    ])
  })

  it('T46 names are bytes; a NUL in one is refused', async () => {
    const latin = Buffer.from('caf\xe9', 'latin1')
    const diff = await diffOf([{ name: latin }, { name: 'new\nline' }, { name: Buffer.concat([Buffer.alloc(110, 0xff), latin]) }])
    const names = readdirSync(diff, { encoding: 'buffer' }).map((name) => name.toString('hex'))
    expect(names).toContain(latin.toString('hex'))
    expect(names.length).toBe(3)
    for (const pax of [{ path: 'a\0b' }, { linkpath: 'a\0b' }, { 'SCHILY.xattr.user.a\0b': 'x' }])
      expect(await refusalOf([{ name: 'x', type: 'symlink', link: 'y', pax }])).toMatchObject(badLayer)
  })

  it('T50 names that differ in case or composition alone are different names', async () => {
    const diff = await diffOf([{ name: 'A' }, { name: 'a' }, { name: '\u00e9' }, { name: 'e\u0301' }])
    expect(readdirSync(diff).length).toBe(4)
  })
})
