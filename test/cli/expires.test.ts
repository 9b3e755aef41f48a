/** `windlass pull --expires` and what `inspect` shows of it, through a daemon whose store gives images a time, or does not. */
import { existsSync, mkdtempDisposableSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createControlService } from '../../src/control/control-service.ts'
import { createCollector } from '../../src/gc/gc.ts'
import type { Expiries } from '../../src/store/expiry.ts'
import type { StoredImage } from '../../src/store/store.ts'
import { housekeeperOver, startDaemon, testServices } from '../rpc/daemon.ts'
import { drivenPuller, memoryStore, noHistory, noLooker, noVerifier, storedImage } from '../rpc/parts.ts'
import { depsWith, windlass } from './terminal.ts'

const app: StoredImage = { ...storedImage('app', { tags: ['r.example/app:1'] }), manifestBytes: Buffer.from('{}') }
const name = 'r.example/app:1'
const until = new Date('2099-01-02T03:04:05.678Z')

/** A daemon in whose store the image is as told, and what its pulls ask for. */
async function start({ image = app, expiries }: { readonly image?: StoredImage; readonly expiries?: Expiries } = {}) {
  const { store } = memoryStore(image)
  const driven = drivenPuller()
  const node = {
    puller: driven.puller,
    store: { ...store, ...(expiries === undefined ? {} : { expiries }) },
    collector: createCollector(store),
    housekeeper: housekeeperOver(store),
    looker: noLooker,
    history: noHistory,
    verifier: noVerifier,
  }
  const log = { info: () => {}, warn: () => {} }
  const platform = { os: 'linux', architecture: 'amd64' }
  const control = createControlService({ node: () => node, log, root: '/store', platform, version: '1.2.3' })
  const daemon = await startDaemon({ ...testServices().services, windlass: control })
  onTestFinished(() => daemon[Symbol.asyncDispose]())
  const call = (...args: readonly string[]) => windlass(['--socket', daemon.path, ...args], depsWith())
  const pulled = async (...args: readonly string[]) => {
    const result = call('pull', '-q', ...args, name)
    const pull = await driven.next()
    pull.emit({ type: 'done', imageId: image.id, ms: 1, verdict: '' })
    pull.succeed(image)
    return await result
  }
  return { call, pulled, driven }
}

/** One that notes for how long. */
function recording() {
  const asked: (number | 'for good')[] = []
  const expiries: Expiries = {
    begin: async () => ({
      give: async (_id, at) => {
        asked.push(at.getTime() - Date.now())
        return at
      },
      [Symbol.dispose]: () => {},
    }),
    stays: async () => {
      asked.push('for good')
      return true
    },
  }
  return { asked, expiries }
}

test('a pull says when the image goes, and asks for no more than it was told', async () => {
  const { asked, expiries } = recording()
  const { pulled } = await start({ image: { ...app, expiry: { at: until, of: 'image' } }, expiries })
  const { code, stdout, stderr } = await pulled('-o', 'json', '--expires', '1h30m')
  expect({ code, expiresAt: JSON.parse(stdout).expiresAt }).toEqual({ code: 0, expiresAt: until.toISOString() })
  expect(stderr).toMatch(/^expires {4}2099-01-02T03:04:05\.678Z, where containerd is of a version/)
  expect(asked).toEqual([expect.closeTo(5_400_000, -4)])
  await pulled()
  expect(asked.slice(1)).toEqual(['for good'])
})

test.each([
  ['it has no time', app],
  ['only some of its names go', { ...app, expiry: { at: until, of: 'some names' } } as const],
])('a pull says that the image stays where %s', async (_, image) => {
  const { pulled, call } = await start({ image, expiries: recording().expiries })
  const { code, stdout, stderr } = await pulled('--expires', '24h')
  expect({ code, stdout }).toEqual({ code: 0, stdout: `${image.id}\n` })
  expect(stderr).toMatch(/^windlass: warning: the image stays: it was here for good before/)
  expect((await call('inspect', name)).stdout).not.toMatch(/^Expires/m)
  expect(JSON.parse((await call('-o', 'json', 'inspect', name)).stdout)).not.toHaveProperty('expiresAt')
})

test('inspect shows the time', async () => {
  const { call } = await start({ image: { ...app, expiry: { at: until, of: 'image' } } })
  expect((await call('inspect', name)).stdout).toMatch(/^Expires +2099-01-02T03:04:05\.678Z/m)
  expect(JSON.parse((await call('-o', 'json', 'inspect', name)).stdout)).toMatchObject({ expiresAt: until.toISOString() })
})

test('where images go by age and disk pressure alone, nothing is pulled, and it says what to use', async () => {
  const refusal = /^windlass: invalid expires: a single image goes by its time in containerd alone; .*gc\.maximumAge/
  const { call, driven } = await start()
  const { code, stdout, stderr } = await call('pull', '--expires', '24h', name)
  expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: expect.stringMatching(refusal) })
  expect(driven.untaken()).toBe(0)

  using temporary = mkdtempDisposableSync(join(tmpdir(), 'windlass-expires-'))
  const root = join(temporary.path, 'root')
  const alone = await windlass(['--root', root, 'pull', '--expires', '24h', name], depsWith())
  expect(alone).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(refusal) })
  expect(existsSync(root)).toBe(false)
})

test.each([
  ['24', 'want a duration such as 72h or 30m'],
  ['0', 'want a duration such as 72h or 30m'],
  ['59s', 'want a minute at least'],
  ['900000h', 'want a minute at least, and a hundred years at most'],
])('a time of %s is refused', async (text, reason) => {
  const { code, stderr } = await windlass(['pull', '--expires', text, name], depsWith())
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(reason) })
})
