/** A node's pull path with the real store, unpacker and registry client, and an embedded registry to pull from. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Failure, WindlassError } from '../../src/failure/failure.ts'
import type { Platform } from '../../src/oci/oci.ts'
import type { Identify } from '../../src/pull/identity.ts'
import type { Log } from '../../src/pull/log.ts'
import { createLooker, type Looker } from '../../src/pull/look.ts'
import type { Partials } from '../../src/pull/partials.ts'
import type { PullEvent, Puller, PullRequest } from '../../src/pull/pull.ts'
import { createPuller, type PullerOptions } from '../../src/pull/puller.ts'
import type { Room } from '../../src/pull/room.ts'
import { parseReference } from '../../src/reference/parse.ts'
import { createRegistry } from '../../src/registry/client.ts'
import { openLocalStore } from '../../src/store/local/local.ts'
import type { Store } from '../../src/store/store.ts'
import { createUnpacker } from '../../src/unpack/pool.ts'
import type { Unpacker, Verifier } from '../../src/unpack/unpack.ts'
import { type RegistryOptions, startRegistry, type TestRegistry } from '../registry/embedded-registry.ts'
import { boundless } from '../support/boundless.ts'
import { type BuiltImage, type BuiltIndex, publish } from '../support/image.ts'
import { limits } from '../unpack/lab.ts'

export const amd64: Platform = { os: 'linux', architecture: 'amd64' }

export interface Lab extends AsyncDisposable {
  readonly registry: TestRegistry
  readonly puller: Puller
  readonly looker: Looker
  readonly unpacker: Unpacker & Verifier
  readonly store: Store
  readonly root: string
  publish(name: string, what: BuiltImage | BuiltIndex): PullRequest
  pull(request: PullRequest, signal?: AbortSignal): Promise<{ readonly id: string; readonly events: readonly PullEvent[] }>
  refusal(request: PullRequest): Promise<Failure>
  staging(): Promise<readonly string[]>
  /** From now on this is the host's hosts.toml, with the files beside it. */
  describeHost(host: string, toml: string, files?: Readonly<Record<string, string>>): void
  /** From now on this mirror is asked first, before the lab's registry or another. */
  useMirror(origin: string, of?: { readonly host: string; readonly origin: string }): void
}

export type LabOptions = RegistryOptions & {
  /** The store's; by default one in a directory that goes with the lab. */
  readonly root?: string
  readonly roomIn?: (store: Store) => Room
  readonly partials?: Partials
  readonly log?: Log
  readonly history?: NonNullable<PullerOptions['history']>
  readonly maxParallelPulls?: number
  /** The registry's tags may be answered with what they named last. */
  readonly mayBeStale?: true
  readonly observer?: NonNullable<PullerOptions['observer']>
  readonly identify?: Identify
  readonly recheckAccess?: boolean
  readonly ahead?: NonNullable<PullerOptions['ahead']>
}

export async function openLab({ root: given, roomIn, mayBeStale, ...more }: LabOptions = {}): Promise<Lab> {
  const { partials, log, history, maxParallelPulls = 4, observer, identify, recheckAccess, ahead, ...options } = more
  await using resources = new AsyncDisposableStack()
  const temporary = resources.use(await mkdtempDisposable(join(tmpdir(), 'windlass-pull-')))
  const registry = resources.use(await startRegistry(options))
  const root = given ?? join(temporary.path, 'root')
  const hostsDir = join(temporary.path, 'certs.d')
  const store = resources.use(await openLocalStore({ root }, { signal: new AbortController().signal }))
  const unpacker = resources.use(
    createUnpacker({ workers: 2, limits, staging: join(root, 'staging'), layers: join(root, 'overlay'), warn: () => {} }),
  )
  const client = resources.use(createRegistry({ hostsDir, userAgent: 'test', progressTimeoutMs: 10_000 }))
  const room = roomIn?.(store) ?? boundless
  const access = { ...(identify === undefined ? {} : { identify }), ...(recheckAccess === undefined ? {} : { recheckAccess }) }
  const puller = createPuller({
    registry: client,
    store,
    unpacker,
    platform: amd64,
    maxParallelPulls,
    partials,
    room,
    ...access,
    ...(log === undefined ? {} : { log }),
    ...(history === undefined ? {} : { history }),
    ...(mayBeStale === undefined ? {} : { staleTagsFor: [registry.host] }),
    ...(ahead === undefined ? {} : { ahead }),
    ...(observer === undefined ? {} : { observer }),
  })
  resources.defer(() => puller.close())
  const pull: Lab['pull'] = async (request, signal = new AbortController().signal) => {
    const events: PullEvent[] = []
    const { image } = await puller.pull(request, { signal, onEvent: (event) => events.push(event) })
    return { id: image.id, events }
  }
  const describeHost: Lab['describeHost'] = (host, toml, files = {}) => {
    const dir = join(hostsDir, host)
    mkdirSync(dir, { recursive: true })
    for (const [name, text] of Object.entries({ ...files, 'hosts.toml': toml })) writeFileSync(join(dir, name), text)
  }
  const owned = resources.move()
  return {
    registry,
    puller,
    looker: createLooker({ registry: client, store, platform: amd64 }),
    unpacker,
    store,
    root,
    publish: (name, what) => {
      const [repository = name, tag = 'latest'] = name.split(':')
      publish(registry, repository, tag, what)
      return { reference: parseReference(`${registry.host}/${name}`), credentials: { kind: 'anonymous' }, client: 'cli' }
    },
    pull,
    refusal: async (request) => {
      try {
        await pull(request)
      } catch (error) {
        if (error instanceof WindlassError) return error.failure
        throw error
      }
      throw new Error('the pull succeeded')
    },
    useMirror: (origin, of = registry) => describeHost(of.host, `server = "${of.origin}"\n[host."${origin}"]\n`),
    describeHost,
    staging: () => readdir(join(root, 'staging')),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
