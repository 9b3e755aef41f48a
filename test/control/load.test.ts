import { expect, it } from 'vitest'
import { loadFrom } from '../../src/control/load.ts'
import { failureOf } from '../../src/failure/failure.ts'
import { sha256 } from '../../src/oci/digest.ts'
import type { PullRequest } from '../../src/pull/pull.ts'
import type { LoadRequest__Output } from '../../src/rpc/generated/windlass/v1/LoadRequest.ts'
import { lacking } from '../integration/lacking.ts'
import { openLab } from '../pull/lab.ts'
import { buildImage } from '../support/image.ts'

const signal = new AbortController().signal
const blob = { mediaType: 'm', digest: sha256('blob'), size: 3 * 1024 * 1024 }
const startOf = (content: Buffer, mediaType = 'm', archive = 'app.tar'): LoadRequest__Output => ({
  request: 'start',
  start: {
    reference: 'r.example/app:1',
    platform: '',
    archive,
    root: { descriptor: { mediaType, digest: sha256(content), size: content.length }, content },
  },
  piece: null,
})
const start = (archive?: string, content = Buffer.from('{}')): LoadRequest__Output => startOf(content, 'm', archive)
const pieceOf = (id: number, bytes: number): LoadRequest__Output => ({
  request: 'piece',
  start: null,
  piece: { id, content: Buffer.alloc(bytes) },
})

/** A pull of one blob, whose client answers each wish with a piece of so many bytes, or never. */
async function load(first: LoadRequest__Output, bytesFor: (id: number) => number | undefined) {
  const wishes: number[] = []
  let told = Promise.withResolvers<void>()
  let written = 0
  async function* requests(): AsyncGenerator<LoadRequest__Output> {
    yield first
    for (;;) {
      while (wishes.length === 0) await told.promise
      const id = wishes.shift() ?? 0
      const bytes = bytesFor(id)
      if (bytes === undefined) await new Promise<never>(() => {})
      else yield pieceOf(id, bytes)
    }
  }
  const pull = async ({ source }: PullRequest): Promise<void> => {
    const write = (bytes: Uint8Array): undefined => {
      written += bytes.length
    }
    await source?.fetch(blob, { write }, { signal })
  }
  const failure = await (async () => {
    for await (const { wanted } of loadFrom(requests(), pull, { signal, patienceMs: 100 })) {
      if (!wanted) continue
      wishes.push(Number(wanted.id))
      told.resolve()
      told = Promise.withResolvers()
    }
  })().catch(failureOf)
  return { failure, written }
}

const whole = 1024 * 1024

it('ends where a piece does not come, and names the archive', async () => {
  const { failure } = await load(start(), (id) => (id === 1 ? whole : undefined))
  expect(failure).toEqual({ kind: 'bad-archive', archive: 'app.tar', reason: expect.stringContaining('within 0.1 s') })
})

it('waits for no client that gives a byte at a time', async () => {
  const { failure, written } = await load(start(), () => 1)
  expect(failure).toMatchObject({ kind: 'size-mismatch', got: 1 })
  expect(written).toBe(0)
})

it('takes as long as all pieces take together', async () => {
  expect(await load(start(), () => whole)).toEqual({ failure: undefined, written: blob.size })
})

it('takes a name and a document of the size that they may have', async () => {
  const refusal = async (first: LoadRequest__Output) => (await load(first, () => whole)).failure
  expect(await refusal(start('x'.repeat(4_097)))).toMatchObject({ kind: 'invalid-argument', what: 'archive' })
  expect(await refusal(start('a', Buffer.alloc(4 * 1024 * 1024 + 1)))).toMatchObject({ kind: 'invalid-argument', what: 'start' })
})

it.skipIf(lacking('root'))('that stalls lets those have their image who want the same layer from its registry', async () => {
  await using here = await openLab({ maxParallelPulls: 2 })
  const image = buildImage({ layers: [{ tar: [{ name: 'one', content: 'one' }] }] })
  const request = here.publish('app:v1', image)
  const isStalled = Promise.withResolvers<void>()
  const isEnded = Promise.withResolvers<never>()
  const config = Promise.withResolvers<number>()
  async function* requests(): AsyncGenerator<LoadRequest__Output> {
    yield startOf(image.bytes, image.descriptor.mediaType)
    yield { request: 'piece', start: null, piece: { id: await config.promise, content: image.config } }
    await isEnded.promise
  }
  const pull = async (asked: PullRequest, options: { readonly signal: AbortSignal }): Promise<void> => {
    await here.puller.pull(asked, options)
  }
  const loading = (async () => {
    for await (const { wanted } of loadFrom(requests(), pull, { signal, patienceMs: 500 })) {
      if (!wanted) continue
      if (wanted.digest === image.id) config.resolve(Number(wanted.id))
      else isStalled.resolve()
    }
  })().catch(failureOf)
  await isStalled.promise
  expect((await here.pull(request)).id).toBe(image.id)
  expect(await loading).toMatchObject({ kind: 'bad-archive', archive: 'app.tar' })
})
