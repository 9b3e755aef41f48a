import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it, vi } from 'vitest'
import { openNotifier, status } from '../../src/sys/notify.ts'
import { receiveAt } from './datagrams.ts'

const unheard = (error: Error): never => {
  throw error
}
const temp = () => mkdtempDisposable(join(tmpdir(), 'windlass-notify-'))
afterEach(() => vi.useRealTimers())

it('says how we are, one datagram a message, and keeps the address from children', async () => {
  await using dir = await temp()
  const path = join(dir.path, 'notify')
  using manager = receiveAt(`${path}\0`)
  const env = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '', WATCHDOG_PID: '1', HOME: '/root' }
  using notifier = openNotifier(env, unheard)
  expect(env).toEqual({ HOME: '/root' })
  notifier.notify('READY=1', status('answering'))
  notifier.notify('STOPPING=1')
  expect(manager.next()).toBe('READY=1\nSTATUS=answering')
  expect(manager.next()).toBe('STOPPING=1')
})

it('finds abstract addresses', () => {
  const name = `windlass-test-${process.pid}`
  using manager = receiveAt(`\0${name}`)
  using notifier = openNotifier({ NOTIFY_SOCKET: `@${name}` }, unheard)
  notifier.notify('READY=1')
  expect(manager.next()).toBe('READY=1')
})

it('keeps a status to one line, so that no text speaks for us', () => {
  expect(status('passthrough: a trial\nMAINPID=1\0x')).toBe('STATUS=passthrough: a trial MAINPID=1 x')
})

it('tells a watchdog twice in its period that we live, if it is ours', async () => {
  vi.useFakeTimers()
  await using dir = await temp()
  const path = join(dir.path, 'notify')
  using manager = receiveAt(`${path}\0`)
  using _notifier = openNotifier({ NOTIFY_SOCKET: path, WATCHDOG_USEC: '60000000', WATCHDOG_PID: String(process.pid) }, unheard)
  vi.advanceTimersByTime(30_000)
  expect(manager.next()).toBe('WATCHDOG=1')
  expect(vi.getTimerCount()).toBe(1)
  using _other = openNotifier({ NOTIFY_SOCKET: path, WATCHDOG_USEC: '60000000', WATCHDOG_PID: '1' }, unheard)
  expect(vi.getTimerCount()).toBe(1)
})

it('does nothing where nobody asks, and goes on where nobody listens', async () => {
  using silent = openNotifier({}, unheard)
  silent.notify('READY=1')
  await using dir = await temp()
  const errors: Error[] = []
  using notifier = openNotifier({ NOTIFY_SOCKET: join(dir.path, 'gone') }, (error) => errors.push(error))
  notifier.notify('READY=1')
  expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining('ENOENT')])
})
