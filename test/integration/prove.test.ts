/** `windlass prove` as a person types it, against Debian's containerd. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempDisposable, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import type { Abortable } from '../../src/task/task.ts'
import { type LoggedRequest, startRegistry } from '../registry/embedded-registry.ts'
import { publish } from '../support/image.ts'
import { type Containerd, startContainerd } from './containerd.ts'
import { lacking } from './lacking.ts'
import { nastyImage } from './nasty.ts'
import { mounted } from './process.ts'
import { main } from './windlass.ts'

type Bench = AsyncDisposable & {
  readonly containerd: Containerd
  readonly temporary: string
  prove(...args: string[]): ChildProcess
}

async function startBench({ signal }: Abortable): Promise<Bench> {
  await using resources = new AsyncDisposableStack()
  const dir = resources.use(await mkdtempDisposable(join(tmpdir(), 'windlass-prove-test-')))
  resources.use(mounted(dir.path, ['-t', 'tmpfs', '-o', 'size=1g,nr_inodes=0', 'tmpfs']))
  const containerd = resources.use(await startContainerd(join(dir.path, 'containerd'), { signal }))
  const temporary = resources.use(await mkdtempDisposable(join(tmpdir(), 'wp-'))).path
  const owned = resources.move()
  return {
    containerd,
    temporary,
    prove: (...args) =>
      spawn(process.execPath, [main, ...args.slice(0, -1), 'prove', '--runtime-endpoint', containerd.socket, args.at(-1) ?? ''], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, TMPDIR: temporary },
        signal,
      }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function ended(child: ChildProcess): Promise<{ readonly code: unknown; readonly stdout: string; readonly stderr: string }> {
  if (child.stdout === null || child.stderr === null) throw new Error('it has no outputs')
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code, stdout, stderr }
}

/** Everything a containerd knows of, in whatever namespace, and what is left in the temporary directory. */
async function leftovers({ containerd, temporary }: Bench, options: Abortable): Promise<readonly string[]> {
  const lines = async (...args: string[]) => (await containerd.ctr(args, options)).split('\n').filter(Boolean)
  const namespaces = (await lines('namespaces', 'list', '--quiet')).filter((name) => name !== 'k8s.io')
  const snapshots = await readdir(join(containerd.socket, '..', 'root', 'io.containerd.snapshotter.v1.overlayfs', 'snapshots'))
  const blobs = await readdir(join(containerd.socket, '..', 'root', 'io.containerd.content.v1.content', 'blobs', 'sha256')).catch(
    () => [],
  )
  return [...namespaces, ...snapshots, ...blobs, ...(await readdir(temporary))]
}

describe.skipIf(lacking('root', 'containerd'))('windlass prove', () => {
  it('tells times, CPU and that the trees are the same, and leaves nothing', async ({ signal }) => {
    await using registry = await startRegistry()
    publish(registry, 'test/nasty', '1', nastyImage())
    await using bench = await startBench({ signal })
    const image = `${registry.host}/test/nasty:1`
    const { code, stdout, stderr } = await ended(bench.prove('-o', 'json', image))
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const proof = JSON.parse(stdout)
    expect(proof).toMatchObject({ reference: image, countsContainerd: true, tree: { count: 0, differences: [] } })
    expect(proof.tree.entries).toBeGreaterThan(20)
    expect([proof.rounds.length, proof.ratios.length]).toEqual([3, 3])
    expect(proof.warnings).toContainEqual(expect.stringContaining('a small image'))
    for (const cost of [proof.medians, ...proof.rounds].flatMap<{ seconds: number; cpuSeconds: number }>(Object.values)) {
      expect(cost.seconds).toBeGreaterThan(0)
      expect(cost.cpuSeconds).toBeGreaterThan(0)
    }
    // Each has fetched it in each round: what one had pulled was not the other's.
    for (const { digest } of nastyImage().layers.map(({ descriptor }) => descriptor)) expect(registry.blobGets(digest)).toBe(6)
    await expect.poll(() => leftovers(bench, { signal })).toEqual([])
  }, 180_000)

  it('leaves nothing either where it is stopped, or was killed before', async ({ signal }) => {
    const { promise, resolve } = Promise.withResolvers<LoggedRequest>()
    await using registry = await startRegistry()
    const image = nastyImage()
    publish(registry, 'test/nasty', '1', image)
    const top = image.layers.at(-1)?.descriptor.digest ?? ''
    let gets = 0
    // The second time it is containerd that asks, and gets no answer.
    registry.fault = (request) => {
      if (!request.path.endsWith(top) || ++gets !== 2) return undefined
      resolve(request)
      return { kind: 'hold', until: new Promise(() => {}) }
    }
    await using bench = await startBench({ signal })
    const name = `${registry.host}/test/nasty:1`
    const stopped = bench.prove(name)
    const [{ code, stdout, stderr }] = await Promise.all([ended(stopped), promise.then(() => stopped.kill('SIGINT'))])
    expect({ code, stdout, stderr }).toEqual({
      code: 130,
      stdout: '',
      stderr: 'windlass: interrupted; everything it made is removed\n',
    })
    await expect.poll(() => leftovers(bench, { signal })).toEqual([])

    gets = 1
    const asked = Promise.withResolvers<void>()
    registry.fault = (request) => {
      if (request.path.endsWith(top)) asked.resolve()
      return request.path.endsWith(top) ? { kind: 'hold', until: new Promise(() => {}) } : undefined
    }
    const killed = bench.prove(name)
    await Promise.all([ended(killed), asked.promise.then(() => killed.kill('SIGKILL'))])
    expect(await leftovers(bench, { signal })).not.toEqual([])
    registry.fault = undefined
    expect(await ended(bench.prove(name))).toMatchObject({ code: 0, stdout: expect.stringContaining('the same in both') })
    // The temporary root of the one that was killed stays where temporary files are cleared.
    const isOurs = (path: string) => !path.startsWith('windlass-prove-')
    await expect.poll(async () => (await leftovers(bench, { signal })).filter(isOurs)).toEqual([])
  }, 300_000)

  it('refuses what containerd would not fetch, and says what to do', async ({ signal }) => {
    await using registry = await startRegistry()
    publish(registry, 'test/nasty', '1', nastyImage())
    await using bench = await startBench({ signal })
    const image = `${registry.host}/test/nasty:1`
    await bench.containerd.cri.image.pullImage({ image: { image } }, { signal })
    const { code, stderr } = await ended(bench.prove(image))
    expect(code).toBe(2)
    expect(stderr).toMatch(/containerd has \d+ of its \d+ layers' blobs already .*crictl rmi/)
  }, 180_000)
})
