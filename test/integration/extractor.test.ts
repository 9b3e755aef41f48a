/** An extractor that dies takes one pull with it, and the daemon goes on answering. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Abortable } from '../../src/task/task.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { extractorsOf } from '../support/children.ts'
import { buildImage, buildLayer, publish } from '../support/image.ts'
import { lacking } from './lacking.ts'
import { eventually, startNode } from './node.ts'

const here = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' } as const
const layer = (name: string, size: number) => buildLayer({ tar: [{ name, content: randomBytes(size) }] })

async function untilSome(daemon: number, { signal }: Abortable): Promise<number[]> {
  for (;;) {
    const found = extractorsOf(daemon)
    if (found.length > 0) return found
    await delay(20, undefined, { signal })
  }
}

describe.skipIf(lacking('root'))('an extractor', () => {
  it.for(['SIGSEGV', 'SIGKILL'] as const)(
    'that gets %s fails one pull; the socket answers, the next pull succeeds',
    async (blow, { signal }) => {
      const gate = Promise.withResolvers<void>()
      await using registry = await startRegistry()
      await using node = await startNode({ signal })
      const image = buildImage({ platform: here, layers: [layer('held', 3_000_000)] })
      publish(registry, 'test/held', '1', image)
      registry.fault = ({ path }) =>
        path.endsWith(image.layers[0]?.descriptor.digest ?? '')
          ? { kind: 'stall', afterBytes: 1_500_000, until: gate.promise }
          : undefined

      const reference = `${registry.host}/test/held:1`
      const outcome = node.pull(reference, { signal }).then(
        () => 'pulled',
        (error: unknown) => String(error),
      )
      await node.pulls(([pull]) => (pull?.layers ?? []).some(({ bytes }) => Number(bytes) > 0), { signal })
      const [victim = -1] = await untilSome(node.windlass.daemon.pid, { signal })
      process.kill(victim, blow)
      // The next bytes find nobody who takes them.
      gate.resolve()
      expect(await outcome).toContain(`the process that unpacked this layer ended: ${blow}`)
      expect((await node.windlass.cri.runtime.version({}, { signal })).runtimeName).toBe('windlass')
      await eventually(async () => (await node.unfinished()).length === 0, { signal })

      gate.resolve()
      registry.fault = () => undefined
      expect(await node.pull(reference, { signal })).toBe(image.id)
    },
  )

  it('runs below its daemon, and is gone when that is killed', async ({ signal }) => {
    const gate = Promise.withResolvers<void>()
    await using registry = await startRegistry()
    await using node = await startNode({ signal })
    const image = buildImage({ platform: here, layers: [layer('held', 3_000_000)] })
    publish(registry, 'test/held', '1', image)
    registry.fault = ({ path }) =>
      path.includes('/blobs/') ? { kind: 'stall', afterBytes: 500_000, until: gate.promise } : undefined
    const left = Promise.allSettled([node.pull(`${registry.host}/test/held:1`, { signal })])
    const extractors = await untilSome(node.windlass.daemon.pid, { signal })
    // Whoever asks the daemon must not wait for their turns.
    const own = getPriority(node.windlass.daemon.pid)
    expect(extractors.map((pid) => getPriority(pid) - own)).toEqual(extractors.map(() => 5))
    await node.windlass.daemon.stop('SIGKILL')
    await left
    gate.resolve()
    for (const pid of extractors) while (isRunning(pid)) await delay(20, undefined, { signal })
  })
})

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    // There is no such process any more.
    return false
  }
}
