import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openLocalStore } from '../../../src/store/local/local.ts'
import { recordingLog, temporaryRoot } from './place.ts'

const { signal } = new AbortController()

test('a root belongs to one process: the second is refused within a second and told whose it is', async () => {
  using place = temporaryRoot()
  const module = new URL('../../../src/store/local/local.ts', import.meta.url)
  const program = `const { openLocalStore } = await import(${JSON.stringify(module)})
    await openLocalStore({ root: ${JSON.stringify(place.root)} }, { signal: new AbortController().signal })
    console.log('open')`
  const holder = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(holder.stdout, 'data')
  const start = performance.now()
  await expect(openLocalStore({ root: place.root }, { signal })).rejects.toMatchObject({
    failure: { kind: 'root-in-use', root: place.root, pid: holder.pid },
  })
  expect(performance.now() - start).toBeLessThan(1000)

  // Dead without a chance to clean up: the root is free at once.
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  await using store = await openLocalStore({ root: place.root }, { signal })
  expect(readFileSync(join(place.root, 'windlass.lock'), 'utf8')).toBe(`${process.pid}\n`)
  expect(await store.images()).toEqual([])
})

test('the root is made for this user alone; one that is open to others is left so, and said', async () => {
  using place = temporaryRoot()
  const modeOf = (path: string): number => statSync(path).mode & 0o777
  {
    await using store = await openLocalStore({ root: place.root }, { signal })
    for (const path of [store.root, store.overlayDir, join(store.root, 'staging')]) expect(modeOf(path)).toBe(0o700)
  }
  const wide = `${place.root}-wide`
  mkdirSync(wide, { mode: 0o755 })
  const log = recordingLog()
  await using store = await openLocalStore({ root: wide, log }, { signal })
  expect([modeOf(wide), modeOf(store.overlayDir), modeOf(join(wide, 'windlass.db'))]).toEqual([0o755, 0o700, 0o600])
  expect(log.lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
})

test('opening with a signal that has gone off opens nothing', async () => {
  using place = temporaryRoot()
  const wish = openLocalStore({ root: place.root }, { signal: AbortSignal.abort() })
  await expect(wish).rejects.toMatchObject({ failure: { kind: 'cancelled' } })
  await using store = await openLocalStore({ root: place.root }, { signal })
  expect(await store.images()).toEqual([])
})
