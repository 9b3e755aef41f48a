import { afterEach, expect, it, vi } from 'vitest'
import { imageOf, userOf } from '../../src/cri/image.ts'
import { storedImage } from '../rpc/parts.ts'

afterEach(() => vi.useRealTimers())

it('shows an image by the same entry until something changes, be it the time of a pin', () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  const until = new Date(Date.now() + 1_000)
  const image = { ...storedImage('app'), pins: [{ owner: 'ci', reason: '', since: new Date(), until }] }
  const entry = imageOf(image)
  expect(entry).toMatchObject({ id: image.id, pinned: true })
  expect(imageOf(image)).toBe(entry)
  vi.setSystemTime(until.getTime() + 1)
  expect(imageOf(image)).toMatchObject({ id: image.id, pinned: false })
  expect(imageOf({ ...image, tags: ['r.example/app:2'] }).repoTags).toEqual(['r.example/app:2'])
})

it.each([
  ['', {}],
  [':', {}],
  [':1000', {}],
  ['0', { uid: { value: 0 } }],
  ['00', { uid: { value: 0 } }],
  ['1000:1000', { uid: { value: 1000 } }],
  ['1000:staff', { uid: { value: 1000 } }],
  ['2147483647', { uid: { value: 2147483647 } }],
  ['nobody', { username: 'nobody' }],
  ['nobody:nogroup', { username: 'nobody' }],
  // Numbers that are no uid, one of which is root in 32 bits (CVE-2024-40635).
  ['4294967296', { username: '4294967296' }],
  ['2147483648', { username: '2147483648' }],
  ['99999999999999999999', { username: '99999999999999999999' }],
  ['-1', { username: '-1' }],
  ['0x0', { username: '0x0' }],
])('reads the user %j', (user, want) => {
  expect(userOf(user)).toEqual(want)
})
