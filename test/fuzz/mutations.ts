/** What an attacker, a bug or another tool does to a tree's members. */
import type { Random } from '../support/random.ts'
import { number, type TarEntry, type TarType } from '../support/tar.ts'
import type { Targets } from './layer.ts'

export type Mutation = {
  readonly name: string
  readonly apply: (entries: readonly TarEntry[], random: Random, targets: Targets) => readonly TarEntry[]
}

const mutation = (name: string, apply: Mutation['apply']): Mutation => ({ name, apply })
/** Changes one member. */
const change = (name: string, edit: (entry: TarEntry, random: Random, targets: Targets) => TarEntry): Mutation =>
  mutation(name, (entries, random, targets) => {
    const at = random.below(entries.length)
    return entries.map((entry, place) => (place === at ? edit(entry, random, targets) : entry))
  })
/** Puts further members somewhere. */
const insert = (name: string, make: (random: Random, targets: Targets) => readonly TarEntry[]): Mutation =>
  mutation(name, (entries, random, targets) => {
    const at = random.below(entries.length + 1)
    return [...entries.slice(0, at), ...make(random, targets), ...entries.slice(at)]
  })

const withHeader = (entry: TarEntry, edit: (block: Buffer) => void): TarEntry => ({ ...entry, header: edit })
const rename = (entry: TarEntry, to: (name: string) => string): TarEntry => ({
  ...entry,
  name: Buffer.from(to(Buffer.from(entry.name).toString('latin1')), 'latin1'),
})
const directoryOf = (random: Random): string => random.pick(['', 'a/', 'a/b/', 'link/', 'b/', 'c/', '../', '/'])

type Xattrs = NonNullable<TarEntry['xattrs']>

const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex')
const XATTRS: readonly [Xattrs, ...Xattrs[]] = [
  { 'user.x': 'y' },
  { 'trusted.overlay.opaque': 'y' },
  { 'trusted.overlay.redirect': '/etc' },
  { 'trusted.overlay.metacopy': '' },
  { 'user.overlay.whiteout': 'y' },
  { 'security.capability': CAPABILITY },
  { 'security.capability': 'too short' },
  { 'security.selinux': 'system_u:object_r:etc_t:s0' },
  { 'system.posix_acl_access': Buffer.from('02000000010006000000000004000400000000002000040000000000', 'hex') },
  { 'system.posix_acl_access': 'garbage' },
  { 'user.big': Buffer.alloc(70_000, 1) },
  { '': 'no name' },
  { nonamespace: 'x' },
]

export const mutations: readonly Mutation[] = [
  mutation('reordered', (entries, random) => {
    const left = [...entries]
    return entries.flatMap(() => left.splice(random.below(left.length), 1))
  }),
  mutation('reversed', (entries) => entries.toReversed()),
  mutation('one twice', (entries, random) => {
    const again = entries[random.below(entries.length)]
    return again === undefined ? entries : [...entries, again]
  }),
  mutation('one lost', (entries, random) => (entries.length < 2 ? entries : entries.toSpliced(random.below(entries.length), 1))),
  mutation('names swapped', (entries) => {
    const [first, last] = [entries.at(0), entries.at(-1)]
    return first === undefined || last === undefined
      ? entries
      : [{ ...first, name: last.name }, ...entries.slice(1, -1), { ...last, name: first.name }]
  }),
  change('link retargeted', (entry, random, targets) => ({
    name: entry.name,
    type: random.pick(['symlink', 'hardlink']),
    link: random.pick(targets),
  })),
  change('type changed', (entry, random) => ({
    ...entry,
    type: random.pick<TarType>(['file', 'dir', 'symlink', 'hardlink', 'char', 'block', 'fifo']),
    link: entry.link ?? 'a',
  })),
  change('climbing name', (entry, random) =>
    rename(entry, (name) => `${random.pick(['../', '../../', 'a/../../', './../', 'link/../../', '/../'])}${name}`),
  ),
  change('named as the target', (entry, random, targets) => ({
    ...entry,
    name: `${random.pick(targets)}${random.pick(['', '/precious', '/new'])}`,
  })),
  change('absolute name', (entry) => rename(entry, (name) => `/${name}`)),
  change('odd slashes', (entry, random) =>
    rename(entry, (name) => name.replaceAll('/', random.pick(['//', '/./', '/x/../', '/../']))),
  ),
  change('below another', (entry, random) =>
    rename(entry, (name) => `${random.pick(['link', 'a', 'b', 'c', 'etc/passwd'])}/${name}`),
  ),
  change('long name', (entry, random) => ({
    ...entry,
    name: random.pick(['n'.repeat(255), 'n'.repeat(256), `${'d/'.repeat(300)}f`, `${`${'e'.repeat(200)}/`.repeat(25)}f`]),
  })),
  change('raw name', (entry, random) => ({
    ...entry,
    name: Buffer.from(random.bytes(1 + random.below(12)).filter((byte) => byte !== 0)),
  })),
  change('name of the root', (entry, random) => ({ ...entry, name: random.pick(['.', './', '/', '..', '', './/', 'a/..']) })),
  change('long link', (entry, random) => ({
    ...entry,
    type: 'symlink',
    link: 'l/'.repeat(random.pick([60, 500, 2047, 2048, 3000])),
  })),
  change('xattrs', (entry, random) => ({ ...entry, format: 'pax', xattrs: random.pick(XATTRS) })),
  change('device', (entry, random) => ({
    ...entry,
    type: random.pick(['char', 'block']),
    devMajor: random.pick([0, 1, 255, 4095, 4096, 2_000_000]),
    devMinor: random.pick([0, 3, 1_048_575, 1_048_576]),
  })),
  change('size', (entry, random) => ({
    ...entry,
    size: random.pick([0, 1, 511, 512, 513, 10_000, 2 ** 31, 2 ** 33, 2 ** 60, -1]),
  })),
  change('owner', (entry, random) => ({
    ...entry,
    uid: random.pick([2 ** 32 - 1, 2 ** 32 - 2, 2 ** 31, -1, 2 ** 40]),
    gid: random.pick([0, 2 ** 32 - 1, 7]),
  })),
  change('time', (entry, random) => ({ ...entry, mtime: random.pick([-1, -1.5, 2 ** 33, 2 ** 40, 2 ** 52]) })),
  change('mode', (entry, random) =>
    withHeader(entry, (block) => number(block, 100, 8, random.pick([0, 0o170777, 0o7777777, 2 ** 40]))),
  ),
  insert('whiteout', (random) => [
    { name: `${directoryOf(random)}.wh.${random.pick(['a', 'b', 'c', 'link', 'x', '', '.', '..', 'a/b', 'n'.repeat(252)])}` },
  ]),
  insert('opaque', (random) => [{ name: `${directoryOf(random)}.wh..wh..opq` }]),
  insert('aufs', (random) => [{ name: `${directoryOf(random)}.wh..wh.${random.pick(['plnk/', 'aufs', 'orph/'])}` }]),
  insert('whiteout of another type', (random) => [
    { name: `${directoryOf(random)}.wh.a`, type: random.pick<TarType>(['dir', 'symlink', 'char', 'hardlink']), link: 'b' },
  ]),
  insert('link and through it', (random, targets) => [
    { name: 'link', type: 'symlink', link: random.pick(targets) },
    random.pick<TarEntry>([
      { name: 'link/precious', content: 'overwritten' },
      { name: 'link', content: 'replaced' },
      { name: 'link/', type: 'dir', mode: 0o777, uid: 7 },
      { name: 'link/.wh.precious' },
      { name: 'link/.wh..wh..opq' },
      { name: 'taken', type: 'hardlink', link: 'link/precious', mode: 0o4777 },
      { name: 'link/nested/', type: 'dir', mode: 0 },
      { name: 'link/made/on/the/way', content: 'x' },
    ]),
  ]),
  insert('link chain', (random) => [
    { name: 'up', type: 'symlink', link: '..' },
    { name: 'hop', type: 'symlink', link: random.pick(['up/up', 'up/../..', '/up/up', 'hop']) },
    { name: random.pick(['hop/victim/precious', 'hop/x', 'up/up/victim/new']), content: 'x' },
  ]),
  insert('hard link to a link', (random, targets) => [
    { name: 'pointer', type: 'symlink', link: `${random.pick(targets)}/precious` },
    { name: 'taken', type: 'hardlink', link: 'pointer', mode: 0o777, uid: 7, mtime: 5 },
    { name: 'taken', content: 'through it' },
  ]),
  insert('directory becomes link', (random, targets) => [
    { name: 'd/', type: 'dir' },
    { name: 'd/e/', type: 'dir', mode: 0o700, uid: 9 },
    { name: 'd/e/f', content: 'x' },
    { name: random.pick(['d', 'd/e']), type: 'symlink', link: random.pick(targets) },
    { name: random.pick(['d/precious', 'd/e/f', 'd/e/precious', 'd/e/']), content: '' },
  ]),
  insert('sparse', (random) => [
    {
      name: 'sparse',
      content: 'data',
      pax: {
        'GNU.sparse.major': '0',
        'GNU.sparse.minor': '1',
        'GNU.sparse.size': random.pick(['4', '100', '999999999', '-1']),
        'GNU.sparse.numblocks': '1',
        'GNU.sparse.map': random.pick(['0,4', '96,4', '1,4', '4', '0,9', '99999999999,4']),
      },
    },
  ]),
  insert('many', () => Array.from({ length: 300 }, (_, at) => ({ name: `many/${at % 7}/${at}`, content: 'x' }))),
  insert('many directories', () =>
    Array.from({ length: 300 }, (_, at): TarEntry => ({ name: `dirs/${at}/below/`, type: 'dir', mode: 0o2775, gid: 3 })),
  ),
  insert('more than allowed', (random) => Array.from({ length: random.pick([1999, 2100]) }, (_, at) => ({ name: `f${at}` }))),
  insert('zeros', (random) => [{ name: 'zeros', content: Buffer.alloc(random.pick([2 ** 20, 20 * 2 ** 20])) }]),
]
