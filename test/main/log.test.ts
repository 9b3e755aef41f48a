import { createServer } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { WindlassError } from '../../src/failure/failure.ts'
import { createLogger, errorFields } from '../../src/main/log.ts'

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

test('what a registry has said does nothing to the terminal that a log is read on, and makes no line of its own', () => {
  const lines: string[] = []
  const log = createLogger({ format: 'text', level: 'info' }, { write: (line) => void lines.push(line) })
  log.warn({ verdict: 'a\u001b[2J', err: new Error('b\u009b2J') }, 'not pulled ahead: c\n12:00:00.000 info  pulled')
  expect(lines.join('')).toMatch(/^[^\p{Cc}]*\n$/u)
  expect(lines.join('')).toContain('a\\u{1b}[2J')
})

describe('a warning that repeats itself', () => {
  afterEach(() => void vi.useRealTimers())

  function logger() {
    vi.useFakeTimers()
    const lines: Record<string, unknown>[] = []
    const log = createLogger({ format: 'json', level: 'info' }, { write: (line) => void lines.push(JSON.parse(line)) })
    return { log, lines }
  }

  test('is written once a minute, with how often it came', () => {
    const { log, lines } = logger()
    for (let ms = 0; ms < 150_000; ms += 1_000) {
      log.warn({ err: new Error('EMFILE'), attempts: ms }, 'a connection could not be accepted')
      vi.advanceTimersByTime(1_000)
    }
    expect(lines.map(({ times }) => times)).toEqual([undefined, 59, 60])
    expect(lines.at(-1)).toMatchObject({ level: 'warn', msg: 'a connection could not be accepted', err: { message: 'EMFILE' } })
    vi.advanceTimersByTime(3_600_000)
    expect(lines.map(({ times }) => times)).toEqual([undefined, 59, 60, 30])
    log.warn({ err: new Error('EMFILE') }, 'a connection could not be accepted')
    expect(lines).toHaveLength(5)
  })

  test('holds back nothing that is about something else, nor what is no warning, nor lines of pulls', () => {
    const { log, lines } = logger()
    for (const round of [1, 2]) {
      log.error({ file: 'a' }, 'unreadable')
      log.error({ file: 'b' }, 'unreadable')
      log.warn({ file: 'a' }, 'unreadable')
      log.warn({ file: 'a', err: new Error('x') }, 'unreadable')
      log.info({ file: 'a' }, 'read')
      log.warn({ pull: 'same', reference: 'r' }, 'pull failed')
      if (round === 1) expect(lines).toHaveLength(6)
    }
    expect(lines.slice(6).map(({ msg }) => msg)).toEqual(['read', 'pull failed'])
  })

  test('is remembered up to a bound', () => {
    const { log, lines } = logger()
    for (let i = 0; i < 3_000; i++) log.warn({ image: `i${i}` }, 'x')
    for (let i = 0; i < 3_000; i++) log.warn({ image: `i${i}` }, 'x')
    expect(lines).toHaveLength(3_000 + 2_000)
  })
})
