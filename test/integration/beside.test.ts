/** A node's image service beside Debian's containerd, whatever happens to it: one dead socket must not stop a node. */
import { existsSync } from 'node:fs'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { connect } from '../../src/rpc/client.ts'
import { RpcError } from '../../src/rpc/status.ts'
import type { Abortable } from '../../src/task/task.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { publish } from '../support/image.ts'
import { type Containerd, startContainerd } from './containerd.ts'
import { pauseImage, shellImage } from './images.ts'
import { lacking } from './lacking.ts'
import { eventually } from './node.ts'
import { runPod } from './pod.ts'
import { mounted, run, start } from './process.ts'
import { main, startWindlass } from './windlass.ts'

interface Place extends AsyncDisposable {
  at(name: string): string
}

async function place(): Promise<Place> {
  await using resources = new AsyncDisposableStack()
  const temporary = resources.use(await mkdtempDisposable(join(tmpdir(), 'windlass-beside-')))
  resources.use(mounted(temporary.path, ['-t', 'tmpfs', '-o', 'size=2g,nr_inodes=0', 'tmpfs']))
  const owned = resources.move()
  return { at: (name) => join(temporary.path, name), [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** `windlass` as a person types it. */
const windlass = (args: readonly string[], options: Abortable): Promise<string> => run(process.execPath, [main, ...args], options)

const hasImage = async ({ cri }: Containerd, reference: string, { signal }: Abortable): Promise<boolean> =>
  (await cri.image.imageStatus({ image: { image: reference } }, { signal })).image !== null

describe.skipIf(lacking('root', 'containerd', 'runc', 'busybox', 'python3'))('beside containerd', () => {
  it('a configuration that cannot be read leaves the node its images: every call goes to the runtime', async ({ signal }) => {
    await using registry = await startRegistry()
    publish(registry, 'test/shell', '1', shellImage())
    const reference = `${registry.host}/test/shell:1`
    await using here = await place()
    await using containerd = await startContainerd(here.at('containerd'), { signal })
    const head = 'apiVersion: windlass.dev/v1alpha1\nkind: WindlassConfiguration\n'
    // Its runtime is where nobody would look for it: only the file says it.
    const runtime = `runtime: {kind: containerd, endpoint: "unix://${containerd.socket}"}\n`
    await writeFile(here.at('bad.yaml'), `${head}unpackWorkers: many\n${runtime}`)
    await using daemon = await startWindlass(here.at('windlass'), { signal, env: { WINDLASS_CONFIG: here.at('bad.yaml') } })
    await daemon.cri.image.pullImage({ image: { image: reference } }, { signal })
    expect(await hasImage(containerd, reference, { signal })).toBe(true)
    // Its own pull keeps the layers' blobs; ours would not.
    expect((await containerd.ctr(['content', 'ls', '-q'], { signal })).trim().split('\n')).toHaveLength(6)
    const told = await windlass(['--socket', daemon.socket, 'passthrough'], { signal })
    expect(told).toMatch(/pulls\s+the runtime's: .*bad\.yaml:3: unpackWorkers.*\npassthrough\s+on since /)
    await expect(windlass(['--socket', daemon.socket, 'passthrough', 'off'], { signal })).rejects.toThrow('bad.yaml:3')
    await expect(windlass(['--socket', daemon.socket, 'plan', reference], { signal })).rejects.toThrow('left to the runtime')
  })

  it('a file that is no YAML any more leaves every call to the runtime that pulls last landed in', async ({ signal }) => {
    await using here = await place()
    await using containerd = await startContainerd(here.at('containerd'), { signal })
    // Its root is named on the command line, its runtime in the file alone.
    const env = { WINDLASS_CONFIG: here.at('windlass.yaml') }
    const head = 'apiVersion: windlass.dev/v1alpha1\nkind: WindlassConfiguration\n'
    await writeFile(env.WINDLASS_CONFIG, `${head}runtime: {kind: containerd, endpoint: "unix://${containerd.socket}"}\n`)
    {
      await using daemon = await startWindlass(here.at('windlass'), { signal, env })
      await eventually(async () => /pulls\s+ours/.test(await windlass(['--socket', daemon.socket, 'passthrough'], { signal })), {
        signal,
      })
    }
    await writeFile(env.WINDLASS_CONFIG, ']\n')
    await using daemon = await startWindlass(here.at('windlass'), { signal, env })
    const told = await windlass(['--socket', daemon.socket, 'passthrough'], { signal })
    expect(told).toContain(`containerd at ${containerd.socket}`)
    expect(told).toMatch(/passthrough\s+on since /)
    await daemon.daemon.stop()
    // Whoever says that it is a store of our own is not answered by what it was before.
    const own = startWindlass(here.at('windlass'), { signal, env: { ...env, WINDLASS_RUNTIME: 'none' } })
    await expect(own).rejects.toThrow('windlass.yaml:1')
  })

  it('says that containerd is down in the same words everywhere, before it was there and after it has gone', async ({
    signal,
  }) => {
    await using here = await place()
    const socket = here.at('containerd/containerd.sock')
    await using daemon = await startWindlass(here.at('windlass'), {
      signal,
      runtime: { kind: 'containerd', socket },
      env: { WINDLASS_METRICS_ADDRESS: '127.0.0.1:0' },
    })
    const port = (await daemon.daemon.line(/"metrics":\{"host":"127\.0\.0\.1","port":(\d+)\}/, { signal }))[1]
    const ask = async (path: string) => await (await fetch(`http://127.0.0.1:${port}${path}`, { signal })).text()
    const words = (promise: Promise<unknown>) => promise.then(String, (error: unknown) => String(error))
    const pull = async (): Promise<void> => {
      for await (const _event of daemon.cri.windlass.pull({ reference: 'r.example/app:1' }, { signal }));
    }
    const status = () => windlass(['--socket', daemon.socket, 'passthrough'], { signal })
    // At once: each waits for a runtime that may only be restarting.
    const told = (): Promise<readonly string[]> =>
      Promise.all([
        status(),
        ask('/readyz'),
        words(daemon.cri.image.listImages({}, { signal })),
        words(daemon.cri.image.pullImage({ image: { image: 'r.example/app:1' } }, { signal })),
        words(pull()),
      ])
    const sentence = (reason: string) =>
      `containerd does not answer on ${socket} (${reason}); see that it runs and what it logs, or correct runtime.endpoint`
    await eventually(async () => (await daemon.cri.windlass.info({}, { signal })).runtime?.missing !== 'it is being opened', {
      signal,
    })
    for (const text of await told()) {
      expect(text.split('containerd does not answer')).toHaveLength(2)
      expect(text).toContain(sentence('no such socket'))
      expect(text).not.toContain('left to the runtime')
    }
    expect(await status()).toContain(`pulls        nobody's: containerd`)
    expect(await ask('/metrics')).toContain('windlass_runtime_up 0\n')
    {
      await using _containerd = await startContainerd(here.at('containerd'), { signal })
      await eventually(async () => (await daemon.cri.windlass.info({}, { signal })).runtime?.missing === '', { signal })
      expect(await status()).toMatch(/pulls +ours\n/)
      expect(await ask('/readyz')).toBe('ok\n')
      expect(await ask('/metrics')).toContain('windlass_runtime_up 1\n')
    }
    for (const text of await told()) {
      expect(text.split('containerd does not answer')).toHaveLength(2)
      expect(text).toMatch(/containerd does not answer on \S+ \((no such socket|nobody listens on it)\); see that it runs/)
    }
    expect(await ask('/metrics')).toContain('windlass_runtime_up 0\n')
  })

  it('passthrough is switched while kubelet stays connected', async ({ signal }) => {
    await using registry = await startRegistry()
    const image = shellImage()
    for (const tag of ['1', '2']) publish(registry, 'test/shell', tag, image)
    await using here = await place()
    await using containerd = await startContainerd(here.at('containerd'), { signal })
    await using daemon = await startWindlass(here.at('windlass'), {
      signal,
      runtime: containerd,
      env: { WINDLASS_METRICS_ADDRESS: '127.0.0.1:0' },
    })
    const pull = async (tag: string): Promise<string> => {
      const reference = `${registry.host}/test/shell:${tag}`
      return (await daemon.cri.image.pullImage({ image: { image: reference } }, { signal })).imageRef
    }
    const blobs = async (): Promise<number> =>
      (await containerd.ctr(['content', 'ls', '-q'], { signal })).trim().split('\n').length
    await eventually(async () => (await daemon.cri.windlass.info({}, { signal })).runtime?.missing === '', { signal })
    const id = await pull('1')
    expect(await blobs()).toBe(3)
    await daemon.cri.image.removeImage({ image: { image: id } }, { signal })
    expect(await windlass(['--socket', daemon.socket, 'passthrough', 'on', '--reason', 'a trial'], { signal })).toContain(
      'a trial',
    )
    expect(await pull('2')).toBe(id)
    expect(await blobs()).toBe(6)
    expect(await windlass(['--socket', daemon.socket, 'passthrough', 'off'], { signal })).toMatch(
      /pulls\s+ours\npassthrough\s+not switched on/,
    )
    const port = (await daemon.daemon.line(/"metrics":\{"host":"127\.0\.0\.1","port":(\d+)\}/, { signal }))[1]
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`, { signal })).text()
    expect(metrics).toContain('windlass_image_pulls_forwarded_total{reason="passthrough"} 1')
    expect(metrics).toContain(`windlass_image_pulls_total{registry="${registry.host}",result="pulled",reason=""} 1`)
    expect(metrics).toContain('windlass_passthrough{reason="switched"} 0')
  })

  it('passthrough outlasts the daemon, until it is switched off', async ({ signal }) => {
    await using here = await place()
    await using containerd = await startContainerd(here.at('containerd'), { signal })
    const run = async (...args: string[]): Promise<string> => {
      await using daemon = await startWindlass(here.at('windlass'), { signal, runtime: containerd })
      return await windlass(['--socket', daemon.socket, 'passthrough', ...args], { signal })
    }
    expect(await run('on', '--reason', 'incident 4711')).toContain('incident 4711')
    expect(await run()).toMatch(/pulls\s+the runtime's: incident 4711\npassthrough\s+on since/)
    expect(await run('off')).toContain('not switched on')
    expect(await run()).toContain('not switched on')
  })

  it('answers before containerd is there, and pulls once it is', async ({ signal }) => {
    await using registry = await startRegistry()
    publish(registry, 'test/shell', '1', shellImage())
    await using here = await place()
    const socket = here.at('containerd/containerd.sock')
    await using daemon = await startWindlass(here.at('windlass'), { signal, runtime: { kind: 'containerd', socket } })
    const refused = await daemon.cri.image.listImages({}, { signal }).catch((error: unknown) => error)
    expect(refused).toMatchObject({ message: expect.stringContaining(`containerd does not answer on ${socket}`) })
    await using _containerd = await startContainerd(here.at('containerd'), { signal })
    await eventually(async () => (await daemon.cri.windlass.info({}, { signal })).runtime?.missing === '', { signal })
    await daemon.cri.image.pullImage({ image: { image: `${registry.host}/test/shell:1` } }, { signal })
    expect(daemon.daemon.output()).not.toContain('handed to the runtime')
  })

  it('killed again and again while containers start, it fails no call that is made anew', { timeout: 90_000 }, async ({
    signal,
  }) => {
    await using registry = await startRegistry()
    const [shell, pause] = [shellImage(), pauseImage()]
    publish(registry, 'test/shell', '1', shell)
    publish(registry, 'test/pause', '1', pause)
    const sandboxImage = `${registry.host}/test/pause:1`
    await using here = await place()
    await using containerd = await startContainerd(here.at('containerd'), {
      signal,
      cri: `  sandbox_image = ${JSON.stringify(sandboxImage)}`,
    })
    const socket = here.at('windlass.sock')
    const args = ['serve', '--root', here.at('root'), '--runtime', 'containerd', '--runtime-endpoint', containerd.socket]
    await using supervisor = start('python3', [
      join(import.meta.dirname, 'supervise.py'),
      socket,
      process.execPath,
      main,
      ...args,
    ])
    const started = (): number[] => [...supervisor.output().matchAll(/^started (\d+)$/gm)].map(([, pid]) => Number(pid))
    await supervisor.line(/^started \d+$/m, { signal })
    await supervisor.line(/"msg":"ready"/, { signal })

    const cut: string[] = []
    /** As kubelet does: a call, and the same again where it was cut. Connecting never fails. */
    const call = async <T>(make: (cri: Awaited<ReturnType<typeof connect>>) => Promise<T>): Promise<T> => {
      for (let attempt = 1; ; attempt++) {
        using cri = await connect(socket, { signal })
        try {
          return await make(cri)
        } catch (error) {
          if (!(error instanceof RpcError) || error.code !== 'UNAVAILABLE' || attempt > 1) throw error
          cut.push(error.message)
        }
      }
    }
    const pull = (reference: string): Promise<string> =>
      call(async (cri) => (await cri.image.pullImage({ image: { image: reference } }, { signal })).imageRef)
    await pull(sandboxImage)
    const id = await pull(`${registry.host}/test/shell:1`)
    await using pod = await runPod(containerd.socket, here.at('pods'), 'killed')
    for (let round = 0; round < 6; round++) {
      const last = started().at(-1) ?? 0
      const kill = (): void => {
        if (existsSync(`/proc/${last}`)) process.kill(last, 'SIGKILL')
      }
      // In between, and while a call is under way.
      if (round % 2 === 0) kill()
      const status = call((cri) => cri.image.imageStatus({ image: { image: id } }, { signal }))
      if (round % 2 === 1) kill()
      expect((await status).image?.id).toBe(id)
      const container = await pod.container(id, ['/bin/sleep', '1000'])
      expect(await pod.exec(container, ['/bin/cat', '/etc/replaced'])).toBe('from the middle\n')
      await eventually(async () => (started().at(-1) ?? 0) !== last, { signal })
    }
    expect(started().length).toBeGreaterThan(6)
    expect(existsSync(socket)).toBe(true)
  })
})
