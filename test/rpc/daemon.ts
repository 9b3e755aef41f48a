/** Our services on a real unix socket in a directory of its own, and a client connected to it. */
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createControlService } from '../../src/control/control-service.ts'
import type { ControlledLists } from '../../src/control/queue.ts'
import { createImageService } from '../../src/cri/image-service.ts'
import { createRuntimeService } from '../../src/cri/runtime-service.ts'
import { type Disk, measureDisk } from '../../src/gc/disk.ts'
import { createCollector } from '../../src/gc/gc.ts'
import { Housekeeper } from '../../src/gc/housekeeper.ts'
import { connect } from '../../src/rpc/client.ts'
import { type CallRecord, type Services, serve } from '../../src/rpc/server.ts'
import type { Store, StoredImage } from '../../src/store/store.ts'
import { drivenPuller, memoryStore, noHistory, noLooker, noVerifier } from './parts.ts'

/** A signal that never aborts: the test's own time limit is the bound. */
export const unbounded = new AbortController().signal

/** All of a stream. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of stream) items.push(item)
  return items
}

/** The services over a store of these images and a driven puller. */
export const testServices = (...images: StoredImage[]) => testServicesWith(undefined, ...images)

/** The same with lists. */
export function testServicesWith(lists: ControlledLists | undefined, ...images: StoredImage[]) {
  const { store, calls } = memoryStore(...images)
  const driven = drivenPuller()
  const { puller } = driven
  const collector = createCollector(store)
  const housekeeper = housekeeperOver(store, collector)
  const logged: object[] = []
  const log = { info: (fields: object) => void logged.push(fields), warn: () => {} }
  const services = {
    image: createImageService({ puller, store, collector, log }),
    runtime: createRuntimeService('1.2.3'),
    windlass: createControlService({
      node: () => ({ puller, store, collector, housekeeper, looker: noLooker, verifier: noVerifier, history: noHistory }),
      log,
      ...(lists === undefined ? {} : { lists }),
      root: store.root,
      platform: { os: 'linux', architecture: 'arm64', variant: 'v9' },
      version: '1.2.3',
    }),
  }
  return { services, calls, driven, logged }
}

/** On the disk as it is, with more room than it will ever want; or on one that is measured otherwise. */
export function housekeeperOver(
  store: Pick<Store, 'overlayDir' | 'images' | 'find' | 'remove' | 'holdings' | 'collect'>,
  collector = createCollector(store),
  measure: (path: string) => Promise<Disk> = measureDisk,
) {
  const watermarks = { highPercent: 100, lowPercent: 100, minAgeMs: 0 }
  return new Housekeeper({ store, collector, watermarks, log: { info: () => {}, warn: () => {} }, measure })
}

export async function startDaemon(services: Services) {
  await using cleanup = new AsyncDisposableStack()
  const dir = cleanup.use(await mkdtempDisposable(join(tmpdir(), 'windlass-rpc-')))
  const path = join(dir.path, 'run', 'windlass.sock')
  const records: CallRecord[] = []
  const errors: unknown[] = []
  const server = await serve(services, {
    path,
    mode: 0o660,
    onCall: (record) => records.push(record),
    onError: (error) => errors.push(error),
    signal: unbounded,
  })
  cleanup.defer(() => server.close(1_000))
  const client = cleanup.use(await connect(path, { signal: unbounded }))
  const held = cleanup.move()
  return { path, dir: dir.path, server, client, records, errors, [Symbol.asyncDispose]: () => held.disposeAsync() }
}
