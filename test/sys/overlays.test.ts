import { expect, test } from 'vitest'
import { overlaysIn } from '../../src/sys/overlays.ts'

const line = (target: string, options: string): string =>
  `1 2 0:3 / ${target} rw,relatime shared:1 - overlay overlay rw,${options}`

test.each([
  ['one option for all', 'lowerdir=/a/fs:/b/fs,upperdir=/u,workdir=/w', ['/a/fs', '/b/fs']],
  ['one for each', 'lowerdir+=/a/fs,lowerdir+=/b/fs', ['/a/fs', '/b/fs']],
  ['short names', 'lowerdir=l/ABC:l/DEF,xino=off', ['l/ABC', 'l/DEF']],
  ['white space, a comma and a colon', 'lowerdir=/a\\040b:/c\\134,d:/e\\134:f,upperdir=/u', ['/a b', '/c,d', '/e:f']],
  ['names that are not ASCII', 'lowerdir=/\u00c3\u00a9', ['/é']],
])('lower directories as %s', (_, options, lowers) => {
  const other = '5 2 0:9 / /proc rw - proc proc rw'
  expect(overlaysIn([other, line('/m\\040nt', options), ''].join('\n'))).toEqual([{ target: '/m nt', lowers }])
})
