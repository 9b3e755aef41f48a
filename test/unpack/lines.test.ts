import { expect, it } from 'vitest'
import { Lines } from '../../src/unpack/lines.ts'

const told = (lines: readonly Buffer[] | undefined): readonly string[] | undefined => lines?.map(String)

it('gives lines as they are completed, however they come', () => {
  const lines = new Lines()
  expect(told(lines.take(Buffer.from('a\nbc')))).toEqual(['a'])
  expect(told(lines.take(Buffer.from('')))).toEqual([])
  expect(told(lines.take(Buffer.from('d\n\ne')))).toEqual(['bcd', ''])
  expect(told(lines.take(Buffer.from('\n')))).toEqual(['e'])
  const text = 'x'.repeat(10_000)
  for (const byte of Buffer.from(text)) expect(lines.take(Buffer.of(byte))).toEqual([])
  expect(told(lines.take(Buffer.from('\nend\n')))).toEqual([text, 'end'])
})

it('gives up on a line that is too long, and keeps no more of it', () => {
  const lines = new Lines()
  expect(lines.take(Buffer.alloc(2 ** 22))).toEqual([])
  expect(lines.take(Buffer.alloc(1))).toBeUndefined()
  expect(new Lines().take(Buffer.alloc(2 ** 22 + 1))).toBeUndefined()
})
