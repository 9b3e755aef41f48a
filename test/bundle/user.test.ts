import { describe, expect, test } from 'vitest'
import { resolveUser } from '../../src/bundle/user.ts'

const PASSWD = `# a comment:x:5:5
root:x:0:0:root:/root:/bin/sh
app:x:1000:1001:App:/home/app:/bin/sh
1234:x:7:7::/:
too:few
big:x:4294967295:0::/:
`
const GROUP = `root:x:0:
video:x:44:app,other
app:x:1001:
audio:x:29:other
users:x:100:root,app
`
const files = { passwd: () => PASSWD, group: () => GROUP }
const bare = { passwd: () => undefined, group: () => undefined }

describe('a user of the image', () => {
  test.each([
    [undefined, { uid: 0, gid: 0, additionalGids: [0, 100] }],
    ['', { uid: 0, gid: 0, additionalGids: [0, 100] }],
    ['app', { uid: 1000, gid: 1001, additionalGids: [1001, 44, 100] }],
    ['1000', { uid: 1000, gid: 1001, additionalGids: [1001, 44, 100] }],
    ['app:audio', { uid: 1000, gid: 29, additionalGids: [29] }],
    ['app:5', { uid: 1000, gid: 5, additionalGids: [5] }],
    ['app:', { uid: 1000, gid: 1001, additionalGids: [1001, 44, 100] }],
    ['5000', { uid: 5000, gid: 0, additionalGids: [0] }],
    ['5000:6000', { uid: 5000, gid: 6000, additionalGids: [6000] }],
    ['1234', { uid: 1234, gid: 0, additionalGids: [0] }],
    ['2147483647', { uid: 2_147_483_647, gid: 0, additionalGids: [0] }],
  ])('%j', (text, user) => {
    expect(resolveUser(text, files)).toEqual(user)
  })

  test.each([
    ['nobody', 'no user "nobody"'],
    ['app:wheel', 'no group "wheel"'],
    ['2147483648', 'ids go from 0 to 2147483647'],
    ['-1', 'ids go from 0 to 2147483647'],
    ['0:4294967295', 'ids go from 0 to 2147483647'],
    ['99999999999999999999', 'ids go from 0 to 2147483647'],
    ['big', 'no user "big"'],
    ['a:b:c', 'want user[:group]'],
  ])('%j is refused', (text, reason) => {
    expect(() => resolveUser(text, files)).toThrow(reason)
  })

  test('an image without passwd and group runs by number, not by name', () => {
    expect(resolveUser('10:20', bare)).toEqual({ uid: 10, gid: 20, additionalGids: [20] })
    expect(resolveUser(undefined, bare)).toEqual({ uid: 0, gid: 0, additionalGids: [0] })
    expect(() => resolveUser('app', bare)).toThrow('no user "app"')
  })
})
