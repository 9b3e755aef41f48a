/** A daemon whose registry goes away: what kubelet, the metrics and `windlass images` are told. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { startRegistry } from '../registry/embedded-registry.ts'
import { buildImage, buildLayer, publish } from '../support/image.ts'
import { main, startWindlass } from './windlass.ts'

const run = promisify(execFile)
const isRoot = process.getuid?.() === 0

describe.skipIf(!isRoot)('a daemon that may answer with stale tags', () => {
  it('does, and marks them in the log, the metric and the list', { timeout: 120_000 }, async ({ signal }) => {
    await using temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-stale-'))
    const registry = await startRegistry()
    const built = buildImage({ layers: [buildLayer({ tar: [{ name: 'a', content: 'a' }] })] })
    publish(registry, 'team/app', '1', built)
    const config = join(temporary.path, 'windlass.yaml')
    const head = 'apiVersion: windlass.dev/v1alpha1\nkind: WindlassConfiguration\n'
    writeFileSync(config, `${head}registry: {staleTagsFor: ["${registry.host}/team"]}\nmetrics: {bindAddress: "127.0.0.1:0"}\n`)
    await using windlass = await startWindlass(temporary.path, { signal, env: { WINDLASS_CONFIG: config } })
    const name = `${registry.host}/team/app:1`
    const pull = async () => (await windlass.cri.image.pullImage({ image: { image: name } }, { signal })).imageRef
    const list = async () => (await run(process.execPath, [main, '--socket', windlass.socket, 'images'], { signal })).stdout

    const first = await pull()
    expect(await list()).not.toContain('stale')
    await registry[Symbol.asyncDispose]()
    expect(await pull()).toBe(first)

    expect(await list()).toMatch(/team\/app +1 \(stale\) /)
    const port = /"metrics":\{"host":"127\.0\.0\.1","port":(\d+)\}/.exec(windlass.daemon.output())?.[1]
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`, { signal })).text()
    expect(metrics).toContain(`windlass_image_pulls_total{registry="${registry.host}",result="stale",reason=""} 1`)
    expect(windlass.daemon.output()).toContain('answered with what this tag named last')
    const { tags } = await windlass.cri.windlass.listStale({}, { signal })
    expect(tags).toMatchObject([{ reference: name, digest: built.descriptor.digest }])
  })
})
