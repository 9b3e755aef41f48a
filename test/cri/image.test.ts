import { expect, it } from 'vitest'
import { userOf } from '../../src/cri/image.ts'

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
