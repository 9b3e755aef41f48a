import { describe, expect, it } from 'vitest'
import { isRecorded, newId, parseTraceparent } from '../../src/trace/context.ts'

const trace = '0af7651916cd43dd8448eb211c80319c'
const span = 'b7ad6b7169203331'

describe('a traceparent', () => {
  it.each([
    [`00-${trace}-${span}-01`, true],
    [`00-${trace}-${span}-00`, false],
    [`00-${trace}-${span}-03`, true],
    // A later version may say more.
    [`cc-${trace}-${span}-01-what-the-future-holds`, true],
    [` 00-${trace}-${span}-01 `, true],
  ])('%s is read', (text, isSampled) => {
    expect(parseTraceparent(text)).toEqual({ traceId: trace, spanId: span, isSampled })
  })

  it.each([
    undefined,
    '',
    `00-${trace}-${span}-01-more`,
    `ff-${trace}-${span}-01`,
    `00-${'0'.repeat(32)}-${span}-01`,
    `00-${trace}-${'0'.repeat(16)}-01`,
    `00-${trace.toUpperCase()}-${span}-01`,
    `00-${trace}-${span}`,
    `01-${trace}-${span}-01-${'x'.repeat(600)}`,
  ])('%s is none', (text) => {
    expect(parseTraceparent(text)).toBeUndefined()
  })
})

describe('whether a trace is recorded', () => {
  const sampled = { traceId: trace, spanId: span, isSampled: true }
  const all = { isParentBased: true, ratio: 1 }

  it('is the caller’s to say, where there is one', () => {
    expect(isRecorded(all, trace, sampled)).toBe(true)
    expect(isRecorded(all, trace, { ...sampled, isSampled: false })).toBe(false)
    expect(isRecorded({ isParentBased: true, ratio: 0 }, trace, sampled)).toBe(true)
    expect(isRecorded({ isParentBased: false, ratio: 0 }, trace, sampled)).toBe(false)
  })

  it('is a share of the others, the same for all who see a trace', () => {
    const half = { isParentBased: true, ratio: 0.5 }
    const ids = Array.from({ length: 2_000 }, () => newId(16))
    const recorded = ids.filter((id) => isRecorded(half, id, undefined))
    expect(recorded.length).toBeGreaterThan(800)
    expect(recorded.length).toBeLessThan(1_200)
    expect(ids.filter((id) => isRecorded(half, id, undefined))).toEqual(recorded)
    expect(ids.every((id) => isRecorded(all, id, undefined))).toBe(true)
    expect(ids.some((id) => isRecorded({ isParentBased: true, ratio: 0 }, id, undefined))).toBe(false)
  })
})
