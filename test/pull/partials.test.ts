import { randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { hexOf, sha256 } from '../../src/oci/digest.ts'
import type { Descriptor } from '../../src/oci/oci.ts'
import { silent } from '../../src/pull/log.ts'
import { Partials, type PartialsOptions } from '../../src/pull/partials.ts'
import { buildImage, buildLayer } from '../support/image.ts'
import { openLab } from './lab.ts'

const MB = 1_000_000
const layer = buildLayer({ tar: [{ name: 'large', content: randomBytes(20 * MB) }], compression: 'none' })
const image = buildImage({ layers: [layer] })
const { descriptor } = layer
const { signal } = new AbortController()

async function openDir(options: Partial<PartialsOptions> = {}) {
  const temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-partials-'))
  const dir = join(temporary.path, 'partials')
  return {
    dir,
    file: join(dir, hexOf(descriptor.digest)),
    partials: new Partials({ dir, log: silent, ...options }),
    [Symbol.asyncDispose]: () => temporary[Symbol.asyncDispose](),
  }
}

const blobOf = (bytes: Uint8Array): Descriptor => ({ mediaType: 'x/y', digest: sha256(bytes), size: bytes.length })
const keepSome = async (partials: Partials, bytes: Uint8Array): Promise<boolean> => {
  await using kept = await partials.open(blobOf(bytes))
  await kept?.write(bytes.subarray(0, bytes.length / 2))
  return kept !== undefined
}

describe('a kept part of a layer', () => {
  it('is what a pull that failed has left, and the next one goes on from there', async () => {
    await using here = await openDir()
    await using lab = await openLab({ partials: here.partials })
    const request = lab.publish('app:1', image)
    let isDown = false
    lab.registry.fault = ({ path }) => {
      if (!path.endsWith(descriptor.digest)) return undefined
      if (isDown) return { kind: 'status', status: 404 }
      isDown = true
      return { kind: 'cut', afterBytes: 12 * MB }
    }
    expect(await lab.refusal(request)).toMatchObject({ kind: 'blob-unknown' })
    expect(readFileSync(here.file).equals(layer.blob.subarray(0, 12 * MB))).toBe(true)
    expect(statSync(here.file).mode & 0o777).toBe(0o600)
    lab.registry.fault = undefined
    expect((await lab.pull(request)).id).toBe(image.id)
    expect(lab.registry.requests.at(-1)?.range).toBe(`bytes=${12 * MB}-`)
    expect(readdirSync(here.dir)).toEqual([])
  })

  it('that is whole needs nobody', async () => {
    await using here = await openDir()
    await using lab = await openLab({ partials: here.partials })
    mkdirSync(here.dir)
    writeFileSync(here.file, layer.blob)
    expect((await lab.pull(lab.publish('app:1', image))).id).toBe(image.id)
    expect(lab.registry.blobGets(descriptor.digest)).toBe(0)
  })

  it.each([
    ['wrong', Buffer.from(layer.blob.subarray(0, 5 * MB)).fill(1, 3 * MB, 3 * MB + 10)],
    ['too many', Buffer.concat([layer.blob, layer.blob])],
  ])('with %s bytes is thrown away, and the layer comes anew', async (_, bytes) => {
    await using here = await openDir()
    await using lab = await openLab({ partials: here.partials })
    mkdirSync(here.dir)
    writeFileSync(here.file, bytes)
    expect((await lab.pull(lab.publish('app:1', image))).id).toBe(image.id)
    expect(readdirSync(here.dir)).toEqual([])
  })

  it('is seen to be of another blob by its beginning where a registry has no ranges', async () => {
    await using here = await openDir()
    await using lab = await openLab({ partials: here.partials })
    mkdirSync(here.dir)
    writeFileSync(here.file, layer.blob.subarray(0, 5 * MB))
    lab.registry.fault = ({ path }) => (path.endsWith(descriptor.digest) ? { kind: 'ignore-range' } : undefined)
    expect((await lab.pull(lab.publish('app:1', image))).id).toBe(image.id)
    expect(lab.registry.blobGets(descriptor.digest)).toBe(1)
  })
})

describe('kept parts', () => {
  it('are of large layers, and each of one transfer', async () => {
    await using here = await openDir({ minSize: 1000 })
    expect(await keepSome(here.partials, randomBytes(999))).toBe(false)
    const bytes = randomBytes(2000)
    await using first = await here.partials.open(blobOf(bytes))
    expect(first).toBeDefined()
    expect(await here.partials.open(blobOf(bytes))).toBeUndefined()
  })

  it('go where room is needed, the oldest first, those in use never; what has no room is not kept', async () => {
    await using here = await openDir({ minSize: 1000, maxBytes: 13_000 })
    const [old, young, next, huge] = [randomBytes(8000), randomBytes(8000), randomBytes(6000), randomBytes(14_000)]
    const fileOf = (bytes: Uint8Array) => join(here.dir, hexOf(sha256(bytes)))
    expect([await keepSome(here.partials, old), await keepSome(here.partials, young)]).toEqual([true, true])
    utimesSync(fileOf(old), 1, Date.now() / 1000 - 60)
    await using taken = await here.partials.open(blobOf(next))
    await taken?.write(next.subarray(0, 3000))
    expect([existsSync(fileOf(old)), existsSync(fileOf(young)), existsSync(fileOf(next))]).toEqual([false, true, true])
    expect(await keepSome(here.partials, huge)).toBe(false)
    expect([existsSync(fileOf(young)), existsSync(fileOf(next))]).toEqual([true, true])
  })

  it('go when nobody went on with them for a day', async () => {
    await using here = await openDir({ minSize: 1000 })
    const [stale, fresh] = [randomBytes(2000), randomBytes(2000)]
    for (const bytes of [stale, fresh]) await keepSome(here.partials, bytes)
    const yesterday = Date.now() / 1000 - 25 * 3600
    utimesSync(join(here.dir, hexOf(sha256(stale))), yesterday, yesterday)
    await here.partials.collect()
    expect(readdirSync(here.dir)).toEqual([hexOf(sha256(fresh))])
  })

  it('are given back in order, in pieces of any size, and end where the transfer was aborted', async () => {
    await using here = await openDir()
    {
      await using kept = await here.partials.open(descriptor)
      for (let at = 0, step = 1; at < 5 * MB; at += step, step = (step * 7) % 300_007)
        await kept?.write(layer.blob.subarray(at, Math.min(at + step, 5 * MB)))
    }
    await using kept = await here.partials.open(descriptor)
    const chunks: Buffer[] = []
    const from = await kept?.replay({ write: (chunk) => void chunks.push(Buffer.from(chunk)) }, { signal })
    expect(from?.offset).toBe(5 * MB)
    expect(Buffer.concat(chunks).equals(layer.blob.subarray(0, 5 * MB))).toBe(true)
  })

  describe('that cannot be removed', () => {
    async function openKept() {
      const warnings: string[] = []
      const here = await openDir({ log: { info: () => {}, warn: (_, text) => void warnings.push(text) } })
      mkdirSync(here.dir)
      symlinkSync('/dev/full', here.file)
      const kept = await here.partials.open(descriptor)
      if (kept === undefined) throw new Error('nothing is kept')
      // In its place is now what rm refuses, as it does anything on a file system that has become read-only.
      rmSync(here.file)
      mkdirSync(here.file)
      return { ...here, kept, warnings }
    }

    it('are logged after a failed write, and the transfer goes on', async () => {
      await using here = await openKept()
      {
        await using kept = here.kept
        await kept.write(layer.blob.subarray(0, 2 * MB))
      }
      expect(here.warnings).toEqual([
        'what comes of this layer is no longer kept for a restart',
        'what came of this layer cannot be removed; it goes with those that nobody goes on with',
      ])
    })

    it('are logged where the layer is here, and that is whole', async () => {
      await using here = await openKept()
      {
        await using kept = here.kept
        await kept.drop()
      }
      expect(here.warnings).toEqual(['what came of this layer cannot be removed; it goes with those that nobody goes on with'])
    })
  })
})
