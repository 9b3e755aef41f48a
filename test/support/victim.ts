/** Says exactly what a directory holds, so that a test can tell that nothing outside a layer's own directory was touched. */
import { createHash } from 'node:crypto'
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cstr, lgetxattr, llistxattr } from '../../src/sys/libc.ts'

/**
 * One line for every entry below `dir`, and for `dir` itself: name, kind, mode, owner, link count, size, mtime in nanoseconds, device
 * number, link target, xattrs and the hash of the content. Names are bytes, written in latin1. Equal arrays mean equal trees.
 */
export function describeTree(dir: string): string[] {
  return walk(Buffer.from(dir), Buffer.from('.'))
}

/** A directory worth attacking: files, a setuid file, a nested directory, a symlink. `unchanged` compares with how it was made. */
export function makeVictim(dir: string): { readonly dir: string; unchanged(): boolean } {
  mkdirSync(join(dir, 'nested'), { recursive: true, mode: 0o755 })
  writeFileSync(join(dir, 'precious'), 'do not touch\n', { mode: 0o600 })
  writeFileSync(join(dir, 'nested', 'deep'), 'nor this\n')
  writeFileSync(join(dir, 'setuid'), '')
  chmodSync(join(dir, 'setuid'), 0o4755)
  symlinkSync('precious', join(dir, 'link'))
  const before = describeTree(dir).join('\n')
  return { dir, unchanged: () => describeTree(dir).join('\n') === before }
}

function walk(path: Buffer, shown: Buffer): string[] {
  const stat = lstatSync(path, { bigint: true })
  const kind = stat.isDirectory() ? 'dir' : stat.isFile() ? 'file' : stat.isSymbolicLink() ? 'link' : 'special'
  const content =
    kind === 'file'
      ? createHash('sha256').update(readFileSync(path)).digest('hex')
      : kind === 'link'
        ? readlinkSync(path, 'latin1')
        : ''
  const size = kind === 'dir' ? '' : stat.size
  const facts = [stat.mode.toString(8), stat.uid, stat.gid, stat.nlink, size, stat.mtimeNs, stat.rdev, content, xattrs(path)]
  const line = `${shown.toString('latin1')} ${kind} ${facts.join(' ')}`
  if (kind !== 'dir') return [line]
  const names = readdirSync(path, { encoding: 'buffer' }).sort(Buffer.compare)
  const child = (parent: Buffer, name: Buffer): Buffer => Buffer.concat([parent, Buffer.from('/'), name])
  return [line, ...names.flatMap((name) => walk(child(path, name), child(shown, name)))]
}

/** `name=hex` of every xattr, sorted. */
function xattrs(path: Buffer): string {
  const list = Buffer.alloc(65536)
  const listed = llistxattr(cstr(path), list, list.length)
  // A file system without xattrs has none to compare.
  if (listed <= 0) return ''
  const names = list.toString('latin1', 0, listed).split('\0').filter(Boolean).sort()
  return names
    .map((name) => {
      const value = Buffer.alloc(65536)
      const size = lgetxattr(cstr(path), cstr(name), value, value.length)
      return `${name}=${size < 0 ? `errno ${size}` : value.toString('hex', 0, size)}`
    })
    .join(',')
}
