/** Whether a tree that was changed after it was unpacked is found out, whatever was changed, and whether one that was not is left in peace. */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { attributeImplied } from '../../../src/store/common/implied.ts'
import { AT, cstr, deviceNumber, lsetxattr, mknodat, S } from '../../../src/sys/libc.ts'
import { createUnpacker } from '../../../src/unpack/pool.ts'
import type { Verdict } from '../../../src/unpack/unpack.ts'
import { eventually } from '../../integration/node.ts'
import { extractorsOf } from '../../support/children.ts'
import { createRandom } from '../../support/random.ts'
import type { TarPart } from '../../support/tar.ts'
import { isRoot } from '../corpus/corpus.ts'
import { limits, openLab, type Unpacked } from '../lab.ts'

const lab = await openLab()
afterAll(() => lab[Symbol.asyncDispose]())
const { verify } = lab

const told = ({ differences }: Verdict): string[] => differences.map(({ path, kind }) => `${kind} ${path}`).sort()

const xattr = (path: string, name: string, value: string): void => {
  expect(lsetxattr(cstr(path), cstr(name), Buffer.from(value), value.length, 0)).toBe(0)
}

const everything: readonly TarPart[] = [
  { name: 'etc/', type: 'dir', mode: 0o2750, uid: 3, gid: 4, mtime: 1_600_000_000.5 },
  { name: 'etc/passwd', content: 'root:x:0:0\n', mtime: 1_600_000_001.25 },
  { name: 'etc/shadow', content: 'root:*\n', mode: 0o640, gid: 42 },
  { name: 'etc/empty', content: '' },
  { name: 'etc/mtab', type: 'symlink', link: '/proc/mounts' },
  { name: 'bin/', type: 'dir' },
  {
    name: 'bin/su',
    content: 'su',
    mode: 0o4755,
    xattrs: { 'security.capability': Buffer.from('010000020020000000000000000000000000000000', 'hex').subarray(0, 20) },
  },
  { name: 'bin/busybox', content: Buffer.alloc(600_000, 'b') },
  { name: 'bin/sh', type: 'hardlink', link: 'bin/busybox', mode: 0o755 },
  { name: 'dev/null', type: 'char', devMajor: 1, devMinor: 3, mode: 0o666 },
  { name: 'run/fifo', type: 'fifo' },
  { name: 'usr/share/doc/.wh.gone', content: '' },
  { name: 'var/.wh..wh..opq', content: '' },
  { name: 'var/log', content: 'x' },
  { name: Buffer.from('etc/caf\xe9', 'latin1'), content: 'latin1' },
]

describe.skipIf(!isRoot)('a tree as it was unpacked', () => {
  it.each<readonly [string, readonly TarPart[]]>([
    ['of everything', everything],
    ['of nothing', []],
    [
      'through a symlink the layer brought',
      [
        { name: 'usr/lib/', type: 'dir' },
        { name: 'lib', type: 'symlink', link: 'usr/lib' },
        { name: 'lib/x', content: 'x' },
      ],
    ],
    ['with directories left out', [{ name: 'a/b/c', content: 'c' }]],
    ['with a GNU long name', [{ name: `${'d'.repeat(120)}/${'n'.repeat(120)}`, content: 'x', format: 'gnu' }]],
    [
      'with files for whiteouts',
      [
        { name: 'a/', type: 'dir' },
        { name: 'a/.wh.x', content: 'content' },
      ],
    ],
  ])('%s is sound', async (_, parts) => {
    const verdict = await verify(await lab.tree(parts))
    expect(verdict).toMatchObject({ differences: [], total: 0, digest: 'equal' })
    expect(verdict.entries).toBe(parts.length)
  })

  it('is compared by its checksums where an entry took the place of another', async () => {
    const tree = await lab.tree([
      { name: 'a', content: 'first' },
      { name: 'kept', type: 'hardlink', link: 'a' },
      { name: 'd/', type: 'dir' },
      { name: 'd/x', content: 'below' },
      { name: 'a', content: 'second' },
      { name: 'd', content: 'a file now' },
    ])
    expect(await verify(tree)).toMatchObject({ differences: [], digest: 'unknowable' })
    writeFileSync(join(tree.diff, 'kept'), 'FIRST')
    expect(told(await verify(tree))).toEqual(['content kept', 'mtime kept'])
  })

  it('is compared byte by byte where it is sparse', async () => {
    const tree = await lab.tree([
      {
        name: 'sparse',
        content: 'DATA',
        pax: {
          'GNU.sparse.major': '0',
          'GNU.sparse.minor': '1',
          'GNU.sparse.size': '100000',
          'GNU.sparse.numblocks': '1',
          'GNU.sparse.map': '50000,4',
        },
      },
    ])
    expect(await verify(tree)).toMatchObject({ differences: [], digest: 'equal' })
    const bytes = readFileSync(join(tree.diff, 'sparse'))
    bytes[99_999] = 1
    writeFileSync(join(tree.diff, 'sparse'), bytes)
    expect(told(await verify(tree))).toContain('content sparse')
  })

  it('may be thousands of directories deep', async () => {
    const deep = Array.from({ length: 1500 }, (_, at) => `${'d/'.repeat(at + 1)}`)
    const tree = await lab.tree([
      ...deep.map((name): TarPart => ({ name, type: 'dir' })),
      { name: `${'d/'.repeat(1500)}f`, content: 'deep' },
    ])
    expect(await verify(tree)).toMatchObject({ differences: [], digest: 'equal' })
  })
})

/** What is done to the tree, and what is to be told of it. */
const damages: readonly (readonly [string, (diff: string, tree: Unpacked) => void, readonly string[]])[] = [
  [
    'a file full of zeros',
    (diff) => writeFileSync(join(diff, 'etc/passwd'), Buffer.alloc(11)),
    ['content etc/passwd', 'mtime etc/passwd'],
  ],
  [
    'a flipped bit and the old time',
    (diff) => {
      const bytes = readFileSync(join(diff, 'bin/busybox'))
      bytes[599_999] = 0x63
      writeFileSync(join(diff, 'bin/busybox'), bytes)
      utimesSync(join(diff, 'bin/busybox'), 1_700_000_000, 1_700_000_000)
    },
    ['content bin/busybox', 'content bin/sh'],
  ],
  ['a file cut short', (diff) => truncateSync(join(diff, 'etc/shadow'), 3), ['mtime etc/shadow', 'size etc/shadow']],
  ['a file with more at its end', (diff) => writeFileSync(join(diff, 'etc/empty'), 'x'), ['mtime etc/empty', 'size etc/empty']],
  ['a deleted file', (diff) => rmSync(join(diff, 'etc/passwd')), ['missing etc/passwd', 'mtime etc']],
  ['a deleted directory', (diff) => rmSync(join(diff, 'bin'), { recursive: true }), ['missing bin']],
  ['an added file', (diff) => writeFileSync(join(diff, 'etc/cron'), 'evil'), ['added etc/cron', 'mtime etc']],
  ['an added directory', (diff) => mkdirSync(join(diff, 'more/below'), { recursive: true }), ['added more']],
  [
    'a directory for a file',
    (diff) => {
      rmSync(join(diff, 'etc/passwd'))
      mkdirSync(join(diff, 'etc/passwd'))
    },
    ['mtime etc', 'type etc/passwd'],
  ],
  [
    'a symlink for a directory with the same in it',
    (diff) => {
      renameSync(join(diff, 'bin'), join(diff, 'sbin'))
      symlinkSync('sbin', join(diff, 'bin'))
    },
    ['added sbin', 'type bin'],
  ],
  [
    'a fifo for a file',
    (diff) => {
      rmSync(join(diff, 'etc/passwd'))
      execFileSync('mkfifo', [join(diff, 'etc/passwd')])
    },
    ['mtime etc', 'type etc/passwd'],
  ],
  ['another mode', (diff) => chmodSync(join(diff, 'bin/su'), 0o755), ['mode bin/su']],
  ['another mode of a directory', (diff) => chmodSync(join(diff, 'etc'), 0o777), ['mode etc']],
  ['another mode of the root', (diff) => chmodSync(diff, 0o777), ['mode .']],
  ['another owner', (diff) => chownSync(join(diff, 'etc/empty'), 7, 0), ['owner etc/empty']],
  ['another group', (diff) => chownSync(join(diff, 'etc/empty'), 0, 7), ['owner etc/empty']],
  ['another time', (diff) => utimesSync(join(diff, 'etc/empty'), 1, 1), ['mtime etc/empty']],
  [
    'another target',
    (diff) => {
      execFileSync('ln', ['-sfn', '/etc/shadow', join(diff, 'etc/mtab')])
      execFileSync('touch', ['-h', '-d', '@1700000000', join(diff, 'etc/mtab')])
    },
    ['mtime etc', 'owner etc/mtab', 'target etc/mtab'],
  ],
  [
    'another device',
    (diff) => {
      rmSync(join(diff, 'dev/null'))
      expect(mknodat(AT.FDCWD, cstr(join(diff, 'dev/null')), S.IFCHR | 0o666, deviceNumber(1, 5) ?? 0)).toBe(0)
      chmodSync(join(diff, 'dev/null'), 0o666)
      utimesSync(join(diff, 'dev/null'), 1_700_000_000, 1_700_000_000)
    },
    ['device dev/null'],
  ],
  ['an xattr that is gone', (diff) => execFileSync('setcap', ['-r', join(diff, 'bin/su')]), ['xattr bin/su']],
  ['an xattr too many', (diff) => xattr(join(diff, 'etc/mtab'), 'trusted.other', 'x'), ['xattr etc/mtab']],
  ['a whiteout that is gone', (diff) => rmSync(join(diff, 'usr/share/doc/gone')), ['missing usr/share/doc/gone']],
  [
    'a file for a whiteout',
    (diff) => {
      rmSync(join(diff, 'usr/share/doc/gone'))
      writeFileSync(join(diff, 'usr/share/doc/gone'), '')
    },
    ['type usr/share/doc/gone'],
  ],
  ['a directory that hides what is below', (diff) => xattr(join(diff, 'run'), 'trusted.overlay.opaque', 'y'), ['opaque run']],
  ['a directory that no longer does', (diff) => xattr(join(diff, 'var'), 'trusted.overlay.opaque', 'n'), ['opaque var']],
  [
    'a hard link that is a copy',
    (diff) => {
      execFileSync('cp', [
        '-a',
        '--remove-destination',
        '--no-preserve=links',
        join(diff, 'bin/busybox'),
        join(diff, 'bin/sh.new'),
      ])
      renameSync(join(diff, 'bin/sh.new'), join(diff, 'bin/sh'))
      utimesSync(join(diff, 'bin'), 1_700_000_000, 1_700_000_000)
    },
    ['hardlink bin/'],
  ],
  [
    'a file with a name elsewhere',
    (diff, tree) => linkSync(join(diff, 'etc/passwd'), `${tree.diff}/../other-name`),
    ['hardlink etc/passwd'],
  ],
  [
    'a name that is not UTF-8',
    (diff) => writeFileSync(Buffer.concat([Buffer.from(`${diff}/etc/caf`), Buffer.from([0xe9])]), 'LATIN1'),
    ['content etc/caf\\xe9', 'mtime etc/caf\\xe9'],
  ],
]

describe.skipIf(!isRoot)('of a tree that was changed', () => {
  it.each(damages)('%s is found and named', async (_, damage, expected) => {
    const tree = await lab.tree(everything)
    damage(tree.diff, tree)
    const verdict = await verify(tree)
    const found = told(verdict)
    expect(verdict.total).toBe(found.length)
    if (expected.length === 1 && expected[0]?.endsWith('/')) {
      expect(found).toHaveLength(1)
      expect(found[0]).toMatch(expected[0])
    } else expect(found).toEqual([...expected].sort())
  })

  it('only the first differences are told, and all counted', async () => {
    const tree = await lab.tree(Array.from({ length: 300 }, (_, at) => ({ name: `f${at}`, content: 'x' })))
    for (let at = 0; at < 300; at++) rmSync(join(tree.diff, `f${at}`))
    const verdict = await verify(tree)
    expect(verdict.total).toBe(300)
    expect(verdict.differences).toHaveLength(200)
  })
})

describe.skipIf(!isRoot)('a tar-split', () => {
  const rewrite = ({ tarSplit }: Unpacked, change: (text: string) => string): void =>
    writeFileSync(tarSplit, gzipSync(change(gunzipSync(readFileSync(tarSplit)).toString())))

  it.each<readonly [string, (tree: Unpacked) => void]>([
    ['that is garbage', ({ tarSplit }) => writeFileSync(tarSplit, 'garbage')],
    ['that is cut short', ({ tarSplit }) => truncateSync(tarSplit, 40)],
    ['that is no JSON', (tree) => rewrite(tree, () => 'none\n')],
    ['that makes more than the layer is', (tree) => rewrite(tree, (text) => text + text)],
    [
      'whose bytes are others',
      (tree) => rewrite(tree, (text) => `${text}{"type":2,"payload":"${Buffer.alloc(3).toString('base64')}","position":999}\n`),
    ],
  ])('%s is told', async (_, damage) => {
    const tree = await lab.tree(everything)
    damage(tree)
    expect(told(await verify(tree))).toEqual(['tar-split .'])
  })

  it('whose padding is another is told by the digest alone', async () => {
    const tree = await lab.tree([{ name: 'a', content: 'x' }])
    rewrite(tree, (text) =>
      text.replace(/"payload":"([^"]*)","position":2/, (_, payload) => {
        const bytes = Buffer.from(payload, 'base64')
        bytes[0] = 1
        return `"payload":"${bytes.toString('base64')}","position":2`
      }),
    )
    const verdict = await verify(tree)
    expect(told(verdict)).toEqual(['tar-split .'])
    expect(verdict.digest).toBe('differs')
  })

  it('that is not there is told, and so is a tree', async () => {
    const tree = await lab.tree(everything)
    rmSync(tree.tarSplit)
    expect(told(await verify(tree))).toEqual(['missing .'])
    const other = await lab.tree(everything)
    rmSync(other.diff, { recursive: true })
    expect(told(await verify(other))).toEqual(['missing .'])
  })
})

describe.skipIf(!isRoot)('whatever is done', () => {
  const rounds = Array.from({ length: 60 }, (_, seed) => seed)

  it('to the bytes of a tar-split is found, or changes nothing that it says', async () => {
    const tree = await lab.tree(everything)
    const sound = readFileSync(tree.tarSplit)
    const said = gunzipSync(sound)
    for (const seed of rounds) {
      const { below } = createRandom(seed)
      const bytes = Buffer.from(sound)
      for (let hit = 0; hit <= seed % 3; hit++) bytes[below(bytes.length)] = below(256)
      writeFileSync(tree.tarSplit, bytes)
      const verdict = await verify(tree)
      expect([seed, verdict.total > 0 || unzipped(bytes)?.equals(said) === true]).toEqual([seed, true])
    }
  })

  it('to what a tar-split says is found', async () => {
    const tree = await lab.tree(everything)
    const said = gunzipSync(readFileSync(tree.tarSplit))
    for (const seed of rounds) {
      const { below } = createRandom(seed)
      const bytes = Buffer.from(said)
      const at = below(bytes.length)
      bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8))
      writeFileSync(tree.tarSplit, gzipSync(bytes))
      const verdict = await verify(tree)
      expect([seed, at, verdict.total > 0 || saysTheSame(bytes, said)]).toEqual([seed, at, true])
    }
  })

  it('to one byte of one file is found', async () => {
    const names = ['etc/passwd', 'etc/shadow', 'bin/su', 'bin/busybox', 'var/log']
    const tree = await lab.tree(everything)
    for (const seed of rounds) {
      const { below } = createRandom(seed)
      const path = join(tree.diff, names[seed % names.length] ?? '')
      const before = readFileSync(path)
      const { atime, mtime } = statSync(path)
      const bytes = Buffer.from(before)
      const at = below(bytes.length)
      bytes[at] = (bytes[at] ?? 0) ^ (1 + below(255))
      writeFileSync(path, bytes)
      utimesSync(path, atime, mtime)
      expect([seed, told(await verify(tree)).some((line) => line.startsWith('content'))]).toEqual([seed, true])
      writeFileSync(path, before)
    }
  })
})

function unzipped(bytes: Buffer): Buffer | undefined {
  try {
    return gunzipSync(bytes)
  } catch {
    return undefined
  }
}

/** What a tar is put together from: not positions, nor the names of what has no content. */
function saysTheSame(bytes: Buffer, said: Buffer): boolean {
  const lines = (text: Buffer): unknown[] =>
    text
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => {
        const { type, name, name_raw: raw, size, payload } = JSON.parse(line)
        return type === 1 && !size ? 'no content' : [type, name, raw, size, payload]
      })
  try {
    return JSON.stringify(lines(bytes)) === JSON.stringify(lines(said))
  } catch {
    return false
  }
}

describe.skipIf(!isRoot)('directories that the tar leaves out', () => {
  /** A layer over another one, as a store commits it; `lowers` are the trees below. */
  const layered = async () => {
    const lowest = await lab.tree([
      { name: './', type: 'dir', mode: 0o711 },
      { name: 'etc/', type: 'dir', mode: 0o2750, uid: 3, gid: 4, xattrs: { 'user.kind': Buffer.from('settings') } },
      { name: 'tmp/', type: 'dir', mode: 0o1777 },
      { name: 'hidden/', type: 'dir', mode: 0o700 },
    ])
    const middle = await lab.tree([
      { name: 'etc/', type: 'dir', mode: 0o2755, uid: 3, gid: 5 },
      { name: '.wh.hidden', content: '' },
    ])
    const tree = await lab.tree([
      { name: 'etc/x', content: 'x' },
      { name: 'tmp/y', content: 'y' },
      { name: 'hidden/z', content: 'z' },
      { name: 'new/directory/w', content: 'w' },
    ])
    const lowers = [middle.diff, lowest.diff]
    attributeImplied(dirname(tree.diff), lowers)
    return { tree, lowers, at: (path: string) => join(tree.diff, path), check: async () => told(await verify(tree, { lowers })) }
  }

  it('have the attributes of those below, and are compared with them', async () => {
    const { tree, at, check } = await layered()
    expect([tree.diff, at('etc'), at('tmp'), at('hidden')].map((path) => (statSync(path).mode & 0o7777).toString(8))).toEqual([
      ...['755', '2755', '1777', '755'],
    ])
    expect(await check()).toEqual([])
    chmodSync(at('tmp'), 0o777)
    chownSync(at('etc'), 3, 4)
    chmodSync(at('etc'), 0o2755)
    chmodSync(at('new/directory'), 0o700)
    chmodSync(at('hidden'), 0o700)
    xattr(at('new'), 'user.kind', 'new')
    expect(await check()).toEqual(['mode hidden', 'mode new/directory', 'mode tmp', 'owner etc', 'xattr new'])
  })

  it('have no time of their own', async () => {
    const { at, check } = await layered()
    utimesSync(at('tmp'), 1, 1)
    utimesSync(at('new'), 1, 1)
    expect(await check()).toEqual([])
  })

  it('tell of a tree below that is not there rather than of themselves', async () => {
    const { tree, lowers } = await layered()
    await expect(verify(tree, { lowers: [...lowers, `${tree.diff}-gone`] })).rejects.toThrow(/no such file or directory/)
  })
})

describe.skipIf(!isRoot)('a verification', () => {
  it('leaves one worker to pulls, however many there are', async () => {
    const tree = await lab.tree(Array.from({ length: 8_000 }, (_, at) => ({ name: `d/${at}`, content: '' })))
    // So that both workers are there.
    await Promise.all([lab.tree([]), lab.tree([])])
    const ended: string[] = []
    const begun = Promise.withResolvers<void>()
    const verified = Array.from({ length: 4 }, () =>
      verify(tree, { onProgress: () => begun.resolve() }).then(() => void ended.push('verified')),
    )
    // By now the others wait.
    await begun.promise
    await lab.tree([{ name: 'small', content: 'x' }])
    ended.push('unpacked')
    await Promise.all(verified)
    expect(ended[0]).toBe('unpacked')
  })

  it('that is cancelled ends, and leaves the tree alone', async () => {
    const tree = await lab.tree([{ name: 'big', content: Buffer.alloc(2 ** 27) }])
    const leaving = new AbortController()
    const seen: number[] = []
    const verified = verify(tree, {
      signal: leaving.signal,
      onProgress: (bytes) => {
        seen.push(bytes)
        leaving.abort(new Error('enough'))
      },
    })
    const outcome = await verified.then(
      (verdict) => verdict.total,
      (error: Error) => error.message,
    )
    // On a fast machine it may be over before anybody looks.
    if (seen.length > 0) expect(outcome).toMatch(/enough/)
    else expect(outcome).toBe(0)
    expect(await verify(tree)).toMatchObject({ total: 0 })
  })

  it('of a tree outside the territory is done by an extractor that sees this tree and no other', async () => {
    const [tree, other] = [await lab.tree(everything), await lab.tree([{ name: 'secret', content: 'x' }])]
    await using staging = await mkdtempDisposable(join(tmpdir(), 'windlass-elsewhere-'))
    const before = new Set(extractorsOf(process.pid))
    const warned: string[] = []
    const warn = (fields: object, message: string): void => void warned.push(`${message}: ${JSON.stringify(fields)}`)
    await using stack = new AsyncDisposableStack()
    const started = (): number[] => extractorsOf(process.pid).filter((pid) => !before.has(pid))
    stack.defer(() => expect(started()).toEqual([]))
    const pool = stack.use(createUnpacker({ workers: 1, limits, staging: staging.path, warn }))
    const { signal } = new AbortController()
    const { diffId, diffSize } = tree.layer
    const job = { dir: staging.path, diffId, diff: tree.diff, tarSplit: tree.tarSplit, lowers: [], among: [], diffSize }
    const verdict = pool.verify(job, { signal })
    await eventually(async () => started().length > 0, { signal })
    const root = `/proc/${started()[0]}/root`
    const seen = [tree.diff, other.diff, dirname(tree.tarSplit)].map((path) => existsSync(`${root}${path}`))
    expect(await verdict).toMatchObject({ differences: [], digest: 'equal' })
    // The directory above it is there to hold it, and holds nothing else.
    expect(seen).toEqual([true, false, true])
    const [first] = started()
    expect(warned).toEqual([])
    writeFileSync(join(tree.diff, 'etc/passwd'), 'evil:x:0:0\n')
    const emptied = (): void => rmSync(join(staging.path, 'diff'), { recursive: true })
    emptied()
    // The same one serves for what it may see, and another for what it may not.
    expect(told(await pool.verify(job, { signal }))).toEqual(['content etc/passwd', 'mtime etc/passwd'])
    expect(started()).toEqual([first])
    emptied()
    const { layer } = other
    const next = { ...job, diffId: layer.diffId, diffSize: layer.diffSize, diff: other.diff, tarSplit: other.tarSplit }
    // One that does not go by itself is still waited for at the pool's end.
    process.kill(Number(first), 'SIGSTOP')
    expect(told(await pool.verify(next, { signal }))).toEqual([])
    expect(started()).toHaveLength(2)
  })

  it('that is cancelled before it starts does not start', async () => {
    const tree = await lab.tree(everything)
    await expect(verify(tree, { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow(/no/)
  })
})
