import { describe, expect, test } from 'vitest'
import { Meter } from '../../src/cli/progress/model.ts'
import { clip, Screen } from '../../src/cli/progress/screen.ts'
import { bytes, duration, printable, printableJson, table } from '../../src/cli/text.ts'
import { kept } from './terminal.ts'

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1 kB'],
  [1234, '1.23 kB'],
  [61_400_000, '61.4 MB'],
  [999_499_999, '999 MB'],
  [999_600_000, '1 GB'],
  [1_230_000_000, '1.23 GB'],
])('%d bytes are %s', (count, text) => {
  expect(bytes(count)).toBe(text)
})

test.each([
  [0.4, '0 ms'],
  [6, '6 ms'],
  [812, '0.8 s'],
  [12_300, '12 s'],
  [185_000, '3m05s'],
  [7_800_000, '2h10m'],
  [400_000_000, '4d'],
])('%d ms are %s', (milliseconds, text) => {
  expect(duration(milliseconds)).toBe(text)
})

describe('foreign text', () => {
  const evil = 'a\u001b[31m\u0007\u009b2J\r\n\u202eb\u2028\u200d\u{e000}é'

  test('is printed on one line, without effect', () => {
    expect(printable(evil)).toBe('a\\u{1b}[31m\\u{7}\\u{9b}2J\\u{d}\\u{a}\\u{202e}b\\u{2028}\\u{200d}\\u{e000}é')
  })

  test('survives JSON', () => {
    const json = printableJson(JSON.stringify({ evil }, null, 2))
    expect(json.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}]/u)
    expect(JSON.parse(json)).toEqual({ evil })
  })

  test('cannot break a table', () => {
    expect(
      table(
        ['A', 'B'],
        [
          ['x\ny', '1'],
          ['z', '2'],
        ],
      ),
    ).toBe('A         B\nx\\u{a}y   1\nz         2\n')
  })
})

test('a rate is that of the last seconds', () => {
  const meter = new Meter(3000)
  for (let second = 0; second <= 10; second++) meter.add(second < 5 ? 0 : (second - 5) * 1_000_000, second * 1000)
  expect(meter.rate()).toBe(1_000_000)
  expect(new Meter().rate()).toBe(0)
})

describe('a screen', () => {
  test('cuts what is too wide, colours not counted, and what is too high', () => {
    expect(clip('\u001b[32mabc\u001b[39mdef', 4)).toBe('\u001b[32mabc\u001b[39md')
    const { output, text } = kept({ columns: 10, rows: 4 })
    using screen = new Screen(output, () => Array.from({ length: 9 }, (_, i) => `line ${i} and more`))
    screen.update()
    expect(text()).toBe('\u001b[?25lline 0 an\nline 1 an\nline 2 an\n')
  })

  test('redraws at most ten times a second, however often it is told', async () => {
    const { output, chunks, text } = kept({ columns: 40, rows: 10 })
    let count = 0
    using screen = new Screen(output, () => [`told ${count}`])
    const until = performance.now() + 350
    while (performance.now() < until) {
      count++
      screen.update()
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(count).toBeGreaterThan(50)
    expect(chunks.filter((chunk) => chunk.includes('told')).length).toBeLessThanOrEqual(5)
    await expect.poll(text).toContain(`told ${count}`)
  })

  test('leaves what was logged, and the cursor', () => {
    const { output, text } = kept({ columns: 40, rows: 10 })
    const screen = new Screen(output, () => ['row'])
    screen.update()
    screen.log(['stays'])
    screen[Symbol.dispose]()
    screen.update()
    expect(text()).toBe('\u001b[?25lrow\n\u001b[1A\r\u001b[0Jstays\nrow\n\u001b[1A\r\u001b[0J\u001b[?25h')
  })
})
