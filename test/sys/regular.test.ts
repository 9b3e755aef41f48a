import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempDisposableSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { readRegular } from '../../src/sys/regular.ts'

const temporary = mkdtempDisposableSync(join(tmpdir(), 'windlass-regular-'))
afterAll(() => temporary.remove())
const at = (name: string): string => join(temporary.path, name)

test('a file is read whole, through symbolic links, up to the limit', () => {
  const bytes = Buffer.alloc(100_000, 'x')
  writeFileSync(at('file'), bytes)
  symlinkSync('file', at('link'))
  expect(readRegular(at('link'), bytes.length)).toEqual({ kind: 'read', bytes })
  expect(readRegular(at('file'), bytes.length - 1)).toEqual({ kind: 'refused', reason: 'it is larger than 99999 bytes' })
})

test('what has no size is read no further than the limit', () => {
  expect(readRegular('/proc/self/status', 1_000_000)).toMatchObject({ kind: 'read', bytes: expect.any(Buffer) })
  expect(readRegular('/proc/self/status', 10)).toMatchObject({ kind: 'refused' })
})

test('nothing is there', () => {
  writeFileSync(at('stone'), '')
  expect(readRegular(at('gone'), 1)).toEqual({ kind: 'absent' })
  expect(readRegular(at('stone/below'), 1)).toEqual({ kind: 'absent' })
  symlinkSync('/gone/from/here', at('dangling'))
  const reason = 'it is a symbolic link to /gone/from/here, and nothing is there'
  expect(readRegular(at('dangling'), 1)).toEqual({ kind: 'dangling', reason })
})

test('whatever else is there is named, and waited for by nobody', async () => {
  execFileSync('mkfifo', [at('fifo')])
  mkdirSync(at('dir'))
  symlinkSync('loop', at('loop'))
  const server = createServer().listen(at('socket'))
  await once(server, 'listening')
  const refusal = (path: string): unknown => readRegular(path, 1)
  expect(refusal(at('fifo'))).toEqual({ kind: 'refused', reason: 'it is a FIFO, not a regular file' })
  expect(refusal(at('dir'))).toEqual({ kind: 'refused', reason: 'it is a directory, not a regular file' })
  expect(refusal(at('socket'))).toEqual({ kind: 'refused', reason: 'it is a socket, not a regular file' })
  expect(refusal('/dev/zero')).toEqual({ kind: 'refused', reason: 'it is a device, not a regular file' })
  expect(refusal(at('loop'))).toEqual({ kind: 'refused', reason: 'it cannot be read (ELOOP)' })
  server.close()
})
