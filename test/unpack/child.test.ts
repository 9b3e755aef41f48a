/** What an extractor that was taken over may say, and what becomes of it. */
import { closeSync, writeSync } from 'node:fs'
import { constants } from 'node:os'
import { describe, expect, it } from 'vitest'
import { failureOf } from '../../src/failure/failure.ts'
import { sha256 } from '../../src/oci/digest.ts'
import { parseAnswer } from '../../src/unpack/answer.ts'
import { Extractor } from '../../src/unpack/child.ts'
import type { Job } from '../../src/unpack/messages.ts'
import { ok } from '../../src/unpack/tree/refusal.ts'
import { diffIdOf, limits } from './lab.ts'

const layer = {
  diffId: sha256('x'),
  blobSize: 1,
  diffSize: 1,
  entries: 1,
  whiteouts: 0,
  warnings: [],
  waitMs: 0,
  workMs: 0,
  inflateMs: 0,
  hashMs: 0,
}
const job: Job = {
  dir: '/nowhere',
  diffId: diffIdOf(Buffer.from('x')),
  limits,
  writesBack: false,
  source: { kind: 'blob', digest: sha256('x'), size: 1, host: 'test' },
}

/** An extractor whose process is this test: `says` is what it writes to its parent. */
function impostor(says: readonly (string | Buffer)[]): { readonly extractor: Extractor; readonly isKilled: () => boolean } {
  let killed = false
  const ended = Promise.withResolvers<string>()
  const extractor = new Extractor(
    {
      start: ([socket = -1]) => {
        for (const words of says) writeSync(socket, typeof words === 'string' ? Buffer.from(words) : words)
        return {
          ended: ended.promise,
          rank: () => {},
          kill: () => {
            if (killed) return
            killed = true
            closeSync(socket)
            ended.resolve('SIGKILL')
          },
        }
      },
    },
    () => {},
  )
  return { extractor, isKilled: () => killed }
}

const hello = `${JSON.stringify({ refused: [] })}\n`
const answer = (changes: object): string => `${JSON.stringify({ ok: true, layer: { ...layer, ...changes } })}\n`

const verdict = (changes: object): string => {
  const sound = { differences: [], total: 0, digest: 'equal', entries: 1, bytes: 1, workMs: 0 }
  return `${JSON.stringify({ ok: true, verdict: { ...sound, ...changes } })}\n`
}

describe('an extractor', () => {
  it('is believed when it says what it should', async () => {
    const { extractor, isKilled } = impostor([hello, answer({})])
    expect(await extractor.run(job, [])).toEqual({ ok: true, layer })
    expect(isKilled()).toBe(false)
    expect(extractor.isAlive).toBe(true)
  })

  it.each([
    ['garbage', [Buffer.from([0xff, 0, 0x0a])]],
    ['garbage for an answer', [hello, 'null\n']],
    ['a number that is none', [hello, answer({ blobSize: -1 })]],
    ['an unknown field', [hello, answer({ more: 1 })]],
    [
      'a failure it cannot have',
      [hello, '{"ok":false,"failure":{"kind":"unauthorized","reference":"r","host":"h","detail":"d"}}\n'],
    ],
    ['a verdict of no known kind', [hello, verdict({ digest: 'perhaps' })]],
    ['too many differences', [hello, verdict({ differences: Array(201).fill({ path: 'x', kind: 'added', detail: '' }) })]],
    ['a difference that nobody knows', [hello, verdict({ differences: [{ path: 'x', kind: 'odd', detail: '' }] })]],
    ['endless words', [hello, Buffer.alloc(100_000, 'x'), '\n']],
    ['two answers', [hello, answer({}), answer({})]],
    ['that there is room, unasked', [hello, '\n']],
  ] as const)('is ended when it says %s', async (_what, says) => {
    const { extractor, isKilled } = impostor(says)
    await extractor.run(job, [])
    await expect.poll(isKilled).toBe(true)
    expect(extractor.isAlive).toBe(false)
  })

  it('gets no other job, and is ended where it does not go, once it says that this was its last', async () => {
    const { extractor, isKilled } = impostor([hello, `${JSON.stringify({ ok: true, layer, isLast: true })}\n`])
    expect(await extractor.run(job, [])).toEqual({ ok: true, layer, isLast: true })
    expect(extractor.isAlive).toBe(false)
    await expect.poll(isKilled, { timeout: 20_000 }).toBe(true)
  })

  it('is believed when this node refuses a name of a megabyte', () => {
    let failure: unknown
    try {
      ok(-constants.errno.EIO, 'openat', { name: '\u00ff'.repeat(2 ** 20) })
    } catch (error) {
      failure = failureOf(error)
    }
    expect(parseAnswer(Buffer.from(JSON.stringify({ ok: false, failure })))).toMatchObject({ failure: { kind: 'system' } })
  })

  it('fails its job with the fault, once it is gone', async () => {
    const { extractor } = impostor([hello, 'null\n'])
    expect(await extractor.run(job, [])).toMatchObject({
      ok: false,
      failure: { kind: 'internal', what: expect.stringContaining('its answer makes no sense') },
    })
  })
})
