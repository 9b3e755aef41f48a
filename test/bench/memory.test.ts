import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, it } from 'vitest'
import { peakWhile } from '../../bench/memory.ts'

const MIB = 2 ** 20

/** Holds so much for a while, says when it is free again, and stays until its parent goes. */
const holder = `
  let held = Buffer.alloc(256 * 2 ** 20, 1)
  setTimeout(() => {
    held = undefined
    const look = setInterval(() => {
      gc()
      if (process.memoryUsage.rss() > 128 * 2 ** 20) return
      clearInterval(look)
      console.log('free')
    }, 20)
  }, 500)
  process.stdin.on('end', () => process.exit()).resume()
`
/** Two of them, of which the second begins when the first holds nothing any more. */
const parent = `
  const { spawn } = require('node:child_process')
  const begin = (then) => spawn(process.execPath, ['--expose-gc', '-e', ${JSON.stringify(holder)}]).stdout.once('data', then)
  begin(() => begin(() => process.exit()))
`

it('counts what processes hold at one moment, and not the sum of what each ever held', async () => {
  const child = spawn(process.execPath, ['-e', parent])
  const { value, peakRssBytes } = await peakWhile([child.pid ?? -1], async () => await once(child, 'exit'))
  expect(value).toEqual([0, null])
  expect(peakRssBytes).toBeGreaterThan(256 * MIB)
  // Three processes of Node, and twice what the two hold, would be more.
  expect(peakRssBytes).toBeLessThan(2 * 256 * MIB)
}, 20_000)
