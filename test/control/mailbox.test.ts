import { expect, it } from 'vitest'
import { createMailbox } from '../../src/control/mailbox.ts'
import { collect } from '../rpc/daemon.ts'

const slotOf = (item: string) => (item.startsWith('p') ? item.charAt(1) : undefined)

it('keeps the latest of each slot, in the place of the first, and everything else', async () => {
  const box = createMailbox(slotOf)
  for (const item of ['a', 'p1 10', 'p2 5', 'b', 'p1 20', 'b', 'p2 9']) box.put(item)
  box.end()
  expect(await collect(box)).toEqual(['a', 'p1 20', 'p2 9', 'b', 'b'])
})

it('gives what comes while it is read, and then ends with the error', async () => {
  const box = createMailbox(slotOf)
  const seen: string[] = []
  const reading = (async () => {
    for await (const item of box) {
      seen.push(item)
      if (item === 'p1 1') box.put('p1 2')
      if (item === 'p1 2') box.end(new Error('over'))
    }
  })()
  await Promise.resolve()
  box.put('p1 1')
  await expect(reading).rejects.toThrow('over')
  expect(seen).toEqual(['p1 1', 'p1 2'])
})

it('stays as small as its slots, whatever is put in', async () => {
  const box = createMailbox<string>(slotOf)
  for (let i = 0; i < 100_000; i++) box.put(`p${i % 3} ${i}`)
  box.end()
  expect(await collect(box)).toHaveLength(3)
})
