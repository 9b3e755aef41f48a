/** Where bin/windlass has Node keep compiled code: who can write there has a say in what runs. */
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { top } from '../../scripts/release/compile.ts'
import { lacking } from '../integration/lacking.ts'

const ALICE = 12_345
const MALLORY = 23_456
const SHARED = '/var/cache/windlass'
const node = `node-linux-${process.arch}`

let place: string

/** A release whose Node says nothing but where its cache would be. */
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'windlass-launcher-'))
  chmodSync(place, 0o755)
  mkdirSync(join(place, 'bin'))
  copyFileSync(join(top, 'bin/windlass'), join(place, 'bin/windlass'))
  const bin = join(place, 'node_modules', node, 'bin')
  mkdirSync(bin, { recursive: true })
  writeFileSync(join(bin, 'node'), '#!/bin/sh\nprintenv NODE_COMPILE_CACHE || echo none\n', { mode: 0o755 })
})
afterEach(() => rmSync(place, { recursive: true }))

function directoryOf(uid: number, ...path: readonly string[]): string {
  const directory = join(place, ...path)
  mkdirSync(directory)
  chownSync(directory, uid, uid)
  return directory
}

function cacheFor(uid: number, env: Readonly<Record<string, string>>): string {
  const { status, stdout, stderr } = spawnSync(join(place, 'bin/windlass'), [], {
    uid,
    gid: uid,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...env },
    encoding: 'utf8',
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return stdout.trim()
}

describe.skipIf(lacking('root'))('compiled code is kept', () => {
  const isSharedRoots = !existsSync(SHARED) || statSync(SHARED).uid === 0

  it('for root where the daemon keeps it, whose home it may be told of', () => {
    const home = directoryOf(ALICE, 'alice')
    mkdirSync(join(home, '.cache/windlass'), { recursive: true })
    for (const env of [{ HOME: home }, { HOME: place }, { XDG_CACHE_HOME: home }, { XDG_CACHE_HOME: place }, {}])
      expect(cacheFor(0, env)).toBe(isSharedRoots ? SHARED : 'none')
  })

  it('for others in their home, there or to be made', () => {
    const home = directoryOf(ALICE, 'alice')
    expect(cacheFor(ALICE, { HOME: home })).toBe(join(home, '.cache/windlass'))
    directoryOf(ALICE, 'alice', '.cache')
    directoryOf(ALICE, 'alice', '.cache', 'windlass')
    expect(cacheFor(ALICE, { HOME: home })).toBe(join(home, '.cache/windlass'))
  })

  it('nowhere, where another may have put it there', () => {
    const home = directoryOf(ALICE, 'alice')
    expect(cacheFor(MALLORY, { HOME: home })).toBe('none')
    expect(cacheFor(ALICE, {})).toBe('none')
    directoryOf(ALICE, 'alice', '.cache')
    directoryOf(MALLORY, 'alice', '.cache', 'windlass')
    expect(cacheFor(ALICE, { HOME: home })).toBe('none')
    const shared = directoryOf(0, 'shared')
    chmodSync(shared, 0o1777)
    expect(cacheFor(ALICE, { HOME: home, XDG_CACHE_HOME: shared })).toBe('none')
  })

  it('where one is told to', () => {
    expect(cacheFor(0, { NODE_COMPILE_CACHE: '/elsewhere' })).toBe('/elsewhere')
  })
})
