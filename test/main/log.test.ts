import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { WindlassError } from '../../src/failure/failure.ts'
import { errorFields } from '../../src/main/log.ts'

const busyPort = (port: number): Promise<Error> =>
  new Promise((resolve) => {
    createServer().once('error', resolve).listen(port, '127.0.0.1')
  })

test('what the system refused is told without a stack', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const error = await busyPort(typeof address === 'object' && address !== null ? address.port : 0)
  server.close()
  expect(errorFields(error)).toEqual({ message: expect.stringContaining('EADDRINUSE') })
})

test('nor what is below a failure that says what happened', () => {
  const typo = new WindlassError({ kind: 'bad-config', file: 'hosts.toml', reason: 'r' }, new SyntaxError('line 3'))
  expect(errorFields(typo)).toEqual({ message: 'hosts.toml: r', cause: { message: 'line 3' } })
})

test('a mistake of our own has its stack', () => {
  expect(errorFields(new TypeError('x'))).toMatchObject({ message: 'x', stack: expect.stringContaining('log.test') })
  const internal = new WindlassError({ kind: 'internal', what: 'w' }, new TypeError('x'))
  expect(errorFields(internal)).toMatchObject({ stack: expect.any(String), cause: { stack: expect.any(String) } })
})
