/** Images that were pulled ahead, and may go by themselves, as containerd has them. */
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Daemon } from '../../src/store/containerd/daemon.ts'
import { gc } from '../../src/store/containerd/names.ts'
import type { Abortable } from '../../src/task/task.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { publish } from '../support/image.ts'
import { type Containerd, startContainerd } from './containerd.ts'
import { shellImage } from './images.ts'
import { lacking } from './lacking.ts'
import { eventually } from './node.ts'
import { mounted, run } from './process.ts'
import { main, startWindlass, type Windlass } from './windlass.ts'

interface Pair extends AsyncDisposable {
  readonly containerd: Containerd
  readonly windlass: Windlass
  /** Every record containerd has, and the time on it. */
  times(): Promise<Readonly<Record<string, string>>>
}

async function startPair({ signal }: Abortable): Promise<Pair> {
  await using resources = new AsyncDisposableStack()
  const temporary = resources.use(await mkdtempDisposable(join(tmpdir(), 'windlass-expiry-')))
  resources.use(mounted(temporary.path, ['-t', 'tmpfs', '-o', 'size=1g,nr_inodes=0', 'tmpfs']))
  const containerd = resources.use(await startContainerd(join(temporary.path, 'containerd'), { signal }))
  const daemon = resources.use(new Daemon(containerd.socket))
  const windlass = resources.use(await startWindlass(join(temporary.path, 'windlass'), { signal, runtime: containerd }))
  await eventually(async () => (await windlass.cri.windlass.info({}, { signal })).runtime?.missing === '', { signal })
  const owned = resources.move()
  return {
    containerd,
    windlass,
    times: async () => {
      const { images } = await daemon.call('list images', (c, options) => c.images.list({}, options))
      return Object.fromEntries(images.map(({ name, labels }) => [name, labels[gc.expire] ?? 'none']))
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** `windlass` as a person types it. */
const typed = ({ socket }: Windlass, args: readonly string[], options: Abortable): Promise<string> =>
  run(process.execPath, [main, '--socket', socket, ...args], options)

const pull = async ({ cri }: Windlass, reference: string, { signal }: Abortable): Promise<string> =>
  (await cri.image.pullImage({ image: { image: reference } }, { signal })).imageRef

describe.skipIf(lacking('root', 'containerd', 'busybox'))('an image pulled ahead', () => {
  it('has its time on every record, through a crash of containerd, until a pod wants it', async ({ signal }) => {
    await using registry = await startRegistry()
    publish(registry, 'test/shell', '1', shellImage())
    const reference = `${registry.host}/test/shell:1`
    await using pair = await startPair({ signal })
    const { windlass, containerd, times } = pair
    const told = JSON.parse(await typed(windlass, ['-o', 'json', 'pull', '-q', '--expires', '24h', reference], { signal }))
    expect(Math.abs(Date.parse(told.expiresAt) - Date.now() - 24 * 3_600_000)).toBeLessThan(30_000)
    const given = await times()
    expect(Object.keys(given)).toContain(reference)
    expect(new Set(Object.values(given))).toEqual(new Set([told.expiresAt]))
    await containerd.crash({ signal })
    expect(await times()).toEqual(given)
    expect(await typed(windlass, ['inspect', reference], { signal })).toContain(told.expiresAt)
    // The later one counts.
    await typed(windlass, ['pull', '-q', '--expires', '1h', reference], { signal })
    expect(await times()).toEqual(given)

    await pull(windlass, reference, { signal })
    expect(new Set(Object.values(await times()))).toEqual(new Set(['none']))
    const { image } = await containerd.cri.image.imageStatus({ image: { image: reference } }, { signal })
    expect(image).toMatchObject({ id: told.imageId, repoTags: [reference] })
    expect(await typed(windlass, ['inspect', reference], { signal })).not.toContain('Expires')
    // It is here for good now.
    await typed(windlass, ['pull', '-q', '--expires', '1h', reference], { signal })
    expect(new Set(Object.values(await times()))).toEqual(new Set(['none']))
  })
  it('that containerd had pulled for itself stays, the record by its id too', async ({ signal }) => {
    await using registry = await startRegistry()
    publish(registry, 'test/shell', '1', shellImage())
    const reference = `${registry.host}/test/shell:1`
    await using pair = await startPair({ signal })
    const { windlass, containerd, times } = pair
    const { imageRef } = await containerd.cri.image.pullImage({ image: { image: reference } }, { signal })
    await typed(windlass, ['pull', '-q', '--expires', '24h', reference], { signal })
    const now = await times()
    expect(Object.keys(now)).toEqual(expect.arrayContaining([reference, imageRef]))
    expect(new Set(Object.values(now))).toEqual(new Set(['none']))
  })

  it('stays once containerd has pulled it again for itself, and its other names do when kubelet pulls through us', async ({
    signal,
  }) => {
    await using registry = await startRegistry()
    publish(registry, 'test/shell', '1', shellImage())
    const reference = `${registry.host}/test/shell:1`
    await using pair = await startPair({ signal })
    const { windlass, containerd, times } = pair
    await typed(windlass, ['pull', '-q', '--expires', '24h', reference], { signal })
    const { imageRef } = await containerd.cri.image.pullImage({ image: { image: reference } }, { signal })
    await eventually(async () => (await times())[imageRef] === 'none', { signal })
    expect((await times())[reference]).toBe('none')
    expect(Object.values(await times()).filter((time) => time !== 'none')).toHaveLength(1)
    await pull(windlass, reference, { signal })
    expect(new Set(Object.values(await times()))).toEqual(new Set(['none']))
  })
})
