/** What a daemon tells of the pulls that kubelet made. */

import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { hostPlatform } from '../../src/platform/platform.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { buildImage, buildLayer, publish } from '../support/image.ts'
import { lacking } from './lacking.ts'
import { startNode } from './node.ts'
import { main, startWindlass } from './windlass.ts'

const call = promisify(execFile)

describe.skipIf(lacking('root'))('the history of a daemon', () => {
  it('has pulls by CRI, those that failed too, and has them after a restart', async ({ signal }) => {
    await using registry = await startRegistry({})
    await using node = await startNode({ signal })
    const layers = [buildLayer({ tar: [{ name: 'a', content: Buffer.alloc(1_000_000, 'a') }], compression: 'gzip' })]
    publish(registry, 'app', '1', buildImage({ platform: hostPlatform(), layers }))
    const reference = `${registry.host}/app:1`
    await node.pull(reference, { signal })
    await expect(node.pull(`${registry.host}/none:1`, { signal })).rejects.toThrow()
    await node.windlass[Symbol.asyncDispose]()
    await using again = await startWindlass(node.at('windlass'), { signal })

    const windlass = async (...args: string[]) =>
      (await call(process.execPath, [main, '--socket', again.socket, ...args], { signal })).stdout
    const [failed, pulled, ...more] = JSON.parse(await windlass('-o', 'json', 'history'))
    expect(more).toEqual([])
    expect(failed).toMatchObject({ client: 'cri', failure: { kind: 'manifest-unknown' } })
    expect(failed.verdict).toMatch(/^404 MANIFEST_UNKNOWN; failed after /)
    expect(pulled).toMatchObject({ client: 'cri', reference, layerCount: 1 })
    expect(pulled.verdict).toMatch(/^bottleneck: .+ \(\d+ %\)$/)
    // The pull's line of the log ends with the same.
    expect(node.windlass.daemon.output()).toContain(`"verdict":"${pulled.verdict}"`)
    const whole = await windlass('history', pulled.id)
    expect(whole).toContain(pulled.verdict)
    expect(whole).toMatch(/^LAYER +DIGEST +SIZE +FROM +WAIT +START +TRANSFER/m)
    expect(whole).toContain('critical path\n')
    expect(await windlass('history', '--last')).toMatch(
      /^why +404 MANIFEST_UNKNOWN; failed after .*\n(.*\n)*failure .*none:1: not found/m,
    )
    expect((await windlass('history', reference)).trim().split('\n')).toHaveLength(2)
    expect((await windlass('history', reference.replace(/:1$/, ''))).trim().split('\n')).toHaveLength(2)
    const reported = await call(process.execPath, [main, '--socket', again.socket, 'pull', '--report', reference], { signal })
    expect(reported.stdout).toMatch(/^sha256:\w{64}\n$/)
    expect(reported.stderr).toContain('why        nothing had to move')
    // What a pull says of itself is what the history has of it.
    const traceFile = join(node.at('windlass'), 'trace.json')
    const told = JSON.parse(await windlass('-o', 'json', 'pull', '-q', '--report', '--trace', traceFile, reference))
    const kept = JSON.parse(await windlass('-o', 'json', 'history', told.id))
    const { layers: _, ...rest } = kept
    expect(told.report).toEqual(rest)
    expect(told.ms).toBe(kept.ms)
    const slices = JSON.parse(readFileSync(traceFile, 'utf8')).traceEvents.filter(({ ph }: { ph: string }) => ph === 'X')
    expect(slices[0]).toMatchObject({ name: 'pull', ts: 0 })
    expect(slices[0].dur / 1000).toBeCloseTo(kept.ms, 1)
  })
})
