import { closeSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { sha256 } from '../../src/oci/digest.ts'
import { createShared, mapShared } from '../../src/sys/shared.ts'
import { createHash, digestOf } from '../../src/unpack/shared-hash.ts'
import { SLOTS_SIZE, SlotFiller, SlotTaker } from '../../src/unpack/slots.ts'

/** Both ends on one thread. */
function slots(source = { position: 0, isDry: true }) {
  const fd = createShared(SLOTS_SIZE)
  const memory = mapShared(fd, SLOTS_SIZE)
  closeSync(fd)
  const hash = createHash()
  return { filler: new SlotFiller(memory, hash), taker: new SlotTaker(memory, hash, source, 300), hash, memory }
}

const fill = (filler: SlotFiller, text: string, read = 0): void => {
  filler.memory().set(Buffer.from(text))
  filler.filled(text.length, read)
}
const take = (taker: SlotTaker): string | undefined => {
  const block = taker.next()
  return block && Buffer.from(block).toString()
}

describe('slots', () => {
  it('give blocks in their order, with what had been read of the blob, and the digest of all of them', () => {
    const { filler, taker, hash } = slots()
    filler.begin()
    const texts = Array.from({ length: 50 }, (_, i) => `block ${i} ${'x'.repeat(i)}`)
    const taken: (string | undefined)[] = []
    // One to seven ahead of the other end, in turn.
    for (let at = 0, ahead = 0; at < texts.length; ahead = (ahead % 7) + 1) {
      const some = texts.slice(at, at + ahead)
      for (const [i, text] of some.entries()) fill(filler, text, at + i)
      for (const [i] of some.entries()) {
        taken.push(take(taker))
        expect(taker.read).toBe(at + i)
      }
      at += some.length
    }
    filler.end('that was all')
    expect(taker.next()).toBeUndefined()
    expect(taken).toEqual(texts)
    expect(taker.bytes).toBe(texts.join('').length)
    expect(taker.lastWords()).toBe('that was all')
    expect(digestOf(hash)).toBe(sha256(texts.join('')))
  })

  it('hash nothing where the tar is the blob', () => {
    const { filler, taker, hash } = slots()
    filler.isPlain = true
    fill(filler, 'plain')
    filler.end('')
    expect([take(taker), take(taker)]).toEqual(['plain', undefined])
    expect(digestOf(hash)).toBe(sha256(''))
  })

  it('are begun by the one end or left by the other, never both', () => {
    const begun = slots()
    expect([begun.filler.begin(), begun.taker.leave()]).toEqual([true, false])
    const left = slots()
    expect([left.taker.leave(), left.filler.begin()]).toEqual([true, false])
  })

  it('do not wait for an end that stands still, but for one that has nothing to inflate', () => {
    const { filler, taker } = slots({ position: 0, isDry: false })
    filler.begin()
    expect(() => taker.next()).toThrow('stands still')
    expect(() => taker.lastWords()).toThrow('stands still')
    // It is given bytes only after twice as long.
    const until = performance.now() + 600
    const late = slots({
      position: 0,
      get isDry() {
        return performance.now() < until
      },
    })
    late.filler.begin()
    const began = performance.now()
    expect(() => late.taker.next()).toThrow('stands still')
    expect(performance.now() - began).toBeGreaterThan(850)
  })

  it('do not wait for an end that died hashing a block, whatever there is to inflate', () => {
    const { filler, taker, memory } = slots()
    filler.begin()
    fill(filler, 'one')
    expect(take(taker)).toBe('one')
    Atomics.store(new Int32Array(memory.buffer), 4, 1)
    expect(() => taker.next()).toThrow('stands still')
  })

  it('let no end say more than there is room for', () => {
    expect(() => slots().filler.end('x'.repeat(4000))).toThrow(RangeError)
  })

  it('tell the end that fills when nobody wants any more, though no slot is free', () => {
    const { filler, taker } = slots()
    for (let i = 0; i < 8; i++) fill(filler, `${i}`)
    filler.end('enough')
    expect(filler.isEnough).toBe(false)
    expect(taker.lastWords()).toBe('enough')
    expect(filler.isEnough).toBe(true)
    expect(filler.memory()).toHaveLength(2 ** 18)
  })
})
