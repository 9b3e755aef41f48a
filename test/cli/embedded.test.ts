import { existsSync, mkdirSync, mkdtempDisposableSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import type { Deps } from '../../src/cli/deps.ts'
import type { Config } from '../../src/config/config.ts'
import { createCollector } from '../../src/gc/gc.ts'
import { parseDiffId, sha256 } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/oci.ts'
import { parseConfig } from '../../src/oci/parse.ts'
import { openLocalStore } from '../../src/store/local/local.ts'
import type { StoredLayer } from '../../src/store/store.ts'
import { housekeeperOver } from '../rpc/daemon.ts'
import { drivenPuller, noHistory, noLooker, noVerifier } from '../rpc/parts.ts'
import { depsWith, windlass } from './terminal.ts'

const isRoot = process.getuid?.() === 0
if (!isRoot) console.warn('skipped: a store of real layers needs root')

const signal = new AbortController().signal
const temporary = mkdtempDisposableSync(join(tmpdir(), 'windlass-embedded-'))
const root = join(temporary.path, 'root')
afterAll(() => temporary.remove())

const driven = drivenPuller()
const deps: Deps<Config> = depsWith({
  openEmbedded: async ({ rootDir }, options) => {
    const store = await openLocalStore({ root: rootDir }, options)
    return {
      puller: driven.puller,
      store,
      collector: createCollector(store),
      housekeeper: housekeeperOver(store),
      looker: noLooker,
      history: noHistory,
      verifier: noVerifier,
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    }
  },
})
const call = (...args: string[]) => windlass(['--root', root, ...args], deps)

/** An image of three layers of one file each, published by hand. */
async function publishImage(): Promise<string> {
  await using store = await openLocalStore({ root }, { signal })
  await using lease = store.lease()
  const diffIds = ['one', 'two', 'three'].map((name) => parseDiffId(sha256(name)))
  let parent: StoredLayer | undefined
  for (const [index, diffId] of diffIds.entries()) {
    await using staged = await store.stage(diffId)
    mkdirSync(join(staged.dir, 'diff'), { recursive: true })
    writeFileSync(join(staged.dir, 'diff', 'which'), String(index))
    writeFileSync(join(staged.dir, 'diff', `layer-${index}`), '')
    writeFileSync(join(staged.dir, 'tar-split.gz'), gzipSync(''))
    parent = await store.commit(staged, { diffSize: 1024, entries: 2, whiteouts: 0 }, parent)
    await lease.retain([parent.id])
  }
  const configBytes = Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture: 'amd64',
      config: { Cmd: ['/layer-2'], Env: ['EVIL=\u009b2J'] },
      rootfs: { type: 'layers', diff_ids: diffIds },
    }),
  )
  const id = sha256(configBytes)
  const layers = diffIds.map((diffId) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: diffId, size: 1024 }))
  const manifestBytes = Buffer.from(JSON.stringify({ schemaVersion: 2, layers }))
  const image = {
    id,
    manifest: { mediaType: mediaTypes.ociManifest, digest: sha256(manifestBytes), size: manifestBytes.length },
    config: parseConfig(configBytes, { digest: id }, 'the test', 3),
    configBytes,
    manifestBytes,
    layers,
    tag: 'r.example/three:1',
    digest: `r.example/three@${sha256(manifestBytes)}`,
  }
  await store.publish(image, { signal })
  return id
}

describe.runIf(isRoot)('on a root of its own, without a daemon', () => {
  let id = ''
  beforeAll(async () => {
    id = await publishImage()
  })

  test('images and inspect, in every format', async () => {
    const images = await call('images')
    expect(images).toMatchObject({ code: 0, stderr: '' })
    expect(images.stdout.split('\n')[1]).toMatch(/^r\.example\/three +1 +\w{12} +3\.\d\d? kB$/)
    const json = JSON.parse((await call('-o', 'json', 'inspect', 'r.example/three:1')).stdout)
    expect(json).toMatchObject({ id, platform: 'linux/amd64', layers: [{}, {}, {}], config: { config: { Cmd: ['/layer-2'] } } })
    const yaml = (await call('-o', 'yaml', 'inspect', id.slice(7, 19))).stdout
    expect(yaml).not.toContain('\u009b')
    expect(parse(yaml)).toEqual(json)
    const text = (await call('inspect', id)).stdout
    expect(text).toContain('EVIL=\\u{9b}2J')
    expect(text).toMatch(/^3 +\w{12} +1.02 kB +1.02 kB +2 +0 +\//m)
  })

  test('mount and unmount the merged tree', async () => {
    const dir = join(temporary.path, 'tree')
    expect(await call('mount', 'r.example/three:1', dir)).toEqual({ code: 0, stdout: `${dir}\n`, stderr: '' })
    try {
      expect(readdirSync(dir).toSorted()).toEqual(['layer-0', 'layer-1', 'layer-2', 'which'])
      expect(readFileSync(join(dir, 'which'), 'utf8')).toBe('2')
      expect(() => writeFileSync(join(dir, 'new'), '')).toThrow('EROFS')
      expect(await call('mount', 'r.example/three:1', dir)).toMatchObject({ code: 2, stderr: expect.stringContaining('already') })
    } finally {
      expect((await windlass(['unmount', dir], deps)).code).toBe(0)
    }
    expect(readdirSync(dir)).toEqual([])
    expect(await windlass(['unmount', dir], deps)).toMatchObject({ code: 2, stderr: expect.stringContaining('mounted nothing') })
  })

  test('a directory that was made for a mount that failed goes again; one that was there stays', async () => {
    const [made, there] = [join(temporary.path, 'made'), join(temporary.path, 'there')]
    mkdirSync(there)
    const overlay = join(root, 'overlay')
    const aside = join(temporary.path, 'aside')
    const away: Deps<Config> = {
      ...deps,
      openEmbedded: async (config, options) => {
        const embedded = await deps.openEmbedded(config, options)
        renameSync(overlay, aside)
        return embedded
      },
    }
    for (const dir of [made, there]) {
      const { code, stderr } = await windlass(['--root', root, 'mount', 'r.example/three:1', dir], away)
      renameSync(aside, overlay)
      expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('not visible from here') })
    }
    expect([existsSync(made), existsSync(there)]).toEqual([false, true])
  })

  test('bundle, and unmount takes it apart', async () => {
    const dir = join(temporary.path, 'box')
    const bundled = await call('bundle', 'r.example/three:1', dir, '--', '-v', '--flag')
    expect(bundled).toEqual({ code: 0, stdout: `${dir}\n`, stderr: '' })
    expect(JSON.parse(readFileSync(join(dir, 'config.json'), 'utf8')).process.args).toEqual(['-v', '--flag'])
    expect(readFileSync(join(dir, 'rootfs', 'which'), 'utf8')).toBe('2')
    expect((await windlass(['unmount', dir], deps)).code).toBe(0)
    expect(existsSync(dir)).toBe(false)
  })

  test('a root that is not there is not made for looking into it', async () => {
    const missing = join(temporary.path, 'typo')
    const { code, stderr } = await windlass(['--root', missing, 'images'], deps)
    expect({ code, stderr, made: existsSync(missing) }).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no such root'),
      made: false,
    })
  })

  test('a root that another holds is said to be so', async () => {
    await using _held = await openLocalStore({ root }, { signal })
    expect(await call('images')).toMatchObject({ code: 1, stderr: expect.stringContaining('in use by another windlass') })
  })

  test('rmi, and what is gone is gone', async () => {
    expect(await call('rmi', id.slice(7, 20))).toMatchObject({
      code: 0,
      // What they took up on this disk.
      stdout: expect.stringMatching(
        new RegExp(`^untagged r\\.example/three:1\nremoved  ${id} \\(3 layers, [1-9][\\d.]* kB\\)\n$`),
      ),
    })
    expect(await call('-o', 'json', 'images')).toMatchObject({ code: 0, stdout: '[]\n' })
    expect(await call('inspect', id)).toMatchObject({
      code: 1,
      stderr: `windlass: image ${id} is not here; windlass images lists what is\n`,
    })
  })
})
