/** Archives that GNU tar, Python and Go do not all read alike, as the generator found them: each is refused, by name. */
import { expect, it } from 'vitest'
import { paxRecord, type TarPart, tar } from '../support/tar.ts'
import { readOurs } from './ours.ts'

const x = (records: Readonly<Record<string, string>>): TarPart => ({
  name: 'x',
  flag: 'x',
  content: Buffer.concat(Object.entries(records).map(([key, value]) => paxRecord(key, value))),
})
const long = (flag: 'L' | 'K', content: string): TarPart => ({ name: '././@LongLink', flag, format: 'gnu', content })
const file: TarPart = { name: 'short', content: 'x' }
const symlink: TarPart = { name: 'short', type: 'symlink', link: 'there' }

it.each<[string, readonly TarPart[], string]>([
  ['two PAX headers', [x({ path: 'first' }), x({ mtime: '1' }), file], 'two extended headers of one kind'],
  ['two long names', [long('L', 'first\0'), long('L', 'second\0'), file], 'two extended headers of one kind'],
  ['a long name against PAX', [long('L', 'gnu\0'), x({ path: 'pax' }), file], 'the long name and the PAX one differ'],
  [
    'a long link against PAX',
    [x({ linkpath: 'pax' }), long('K', 'gnu\0'), symlink],
    'the long link target and the PAX one differ',
  ],
  ['an empty long name', [long('L', '\0'), file], 'an empty long name'],
  ['a long name without its NUL', [long('L', 'n'.repeat(120)), file], 'a long name without its NUL'],
  ['an empty PAX path', [x({ path: '' }), file], 'the PAX path is empty'],
  ['an empty PAX mtime', [x({ mtime: '' }), file], 'the PAX mtime is empty'],
  ['a global path', [{ global: { path: 'everywhere' } }, file], 'a global header sets path'],
  ['a global owner', [{ global: { comment: 'fine', uid: '0' } }, file], 'a global header sets uid'],
  ['global xattrs', [{ global: { 'SCHILY.xattr.user.x': '1' } }, file], 'a global header sets xattrs'],
  ['a file that ends with a slash', [{ name: 'file/', content: 'x' }], 'a file whose name ends with a slash'],
  ['slashes that are no directory to GNU tar', [{ name: '//', flag: '\0' }], 'a name of slashes alone, without a type'],
  ['a link without a target', [{ name: 'l', type: 'symlink', link: '' }], 'a link without a target'],
  ['a number behind a NUL', [{ name: 'f', header: (block) => block.write('\0', 100) }], "the header's mode starts with a NUL"],
  [
    'a star prefix that runs into its times',
    [{ name: 'f', header: (block) => block.write('p'.repeat(163), 345) && block.write('tar\0', 508) }],
    'the prefix has no end',
  ],
])('refuses %s', (_, parts, reason) => {
  expect(readOurs(tar(parts)).refusal).toContain(reason)
})

it('refuses an end in the middle of the trailer', () => {
  expect(readOurs(tar([file]).subarray(0, -100)).refusal).toContain('in the middle of a header')
})

it.each<[string, readonly TarPart[], string]>([
  ['a long name that PAX repeats', [long('L', 'same\0'), x({ path: 'same' }), file], 'same'],
  ['a global comment', [{ global: { comment: 'of git archive' } }, file], 'short'],
  [
    'ustar of another version',
    [{ name: 'n', header: (block) => block.write('\0\0', 263) && block.write('prefix', 345) }],
    'prefix/n',
  ],
])('reads %s', (_, parts, name) => {
  const { seen, refusal } = readOurs(tar(parts))
  expect(refusal).toBeUndefined()
  expect(seen.map(({ member }) => member.name)).toEqual([name])
})
