import {
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { seize } from '../../../src/store/common/seize.ts'

let top: string
let staged: string
let to: string
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'windlass-seize-'))
  staged = join(top, 'staging/layer')
  to = join(top, 'overlay')
  mkdirSync(join(staged, 'diff'), { recursive: true, mode: 0o755 })
  writeFileSync(join(staged, 'tar-split.gz'), 'x')
})
afterEach(() => rmSync(top, { recursive: true }))

describe('a staged layer that is seized', () => {
  it('is its tree and its tar-split, in a directory that nobody else can open', () => {
    writeFileSync(join(staged, 'implied'), 'etc\0')
    expect(seize(staged, to)).toEqual({ leftOut: true })
    expect(readdirSync(to).sort()).toEqual(['diff', 'implied', 'tar-split.gz'])
    expect(lstatSync(to).mode & 0o777).toBe(0o700)
    expect(readdirSync(join(top, 'staging'))).toEqual([])
  })

  it('gets nothing more from whoever holds the directory that was staged', () => {
    const held = openSync(staged, 'r')
    try {
      expect(seize(staged, to)).toEqual({ leftOut: false })
      for (const name of ['link', 'lower', 'tar-split.gz'])
        expect(() => symlinkSync('/etc/passwd', `/proc/self/fd/${held}/${name}`)).toThrow('ENOENT')
      expect(readdirSync(to).sort()).toEqual(['diff', 'tar-split.gz'])
    } finally {
      closeSync(held)
    }
  })

  it.each<[string, () => void]>([
    ['a name more', () => writeFileSync(join(staged, 'link'), 'x')],
    ['a link in the place of its tree', () => replace('diff', (path) => symlinkSync('/etc', path))],
    ['a link in the place of its tar-split', () => replace('tar-split.gz', (path) => symlinkSync('/etc/passwd', path))],
    ['a directory in the place of its tar-split', () => replace('tar-split.gz', (path) => mkdirSync(path))],
    ['a tar-split that has a name elsewhere', () => linkSync(join(staged, 'tar-split.gz'), join(top, 'staging/other'))],
    ['no tree', () => rmSync(join(staged, 'diff'), { recursive: true })],
    ['a link in the place of all of it', () => replace('', (path) => symlinkSync('/etc', path))],
  ])('is refused with %s', (_what, change) => {
    change()
    expect(() => seize(staged, to)).toThrow(/no layer/)
    expect(readdirSync('/etc')).toContain('passwd')
  })

  it('never takes the place of what is there', () => {
    mkdirSync(to)
    expect(() => seize(staged, to)).toThrow('EEXIST')
    expect(readdirSync(staged).sort()).toEqual(['diff', 'tar-split.gz'])
  })
})

function replace(name: string, make: (path: string) => void): void {
  rmSync(join(staged, name), { recursive: true })
  make(join(staged, name))
}
