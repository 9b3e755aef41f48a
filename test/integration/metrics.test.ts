/** Metrics of a real daemon. */
import { once } from 'node:events'
import { mkdtempDisposable } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { lacking } from './lacking.ts'
import { startWindlass } from './windlass.ts'

const temp = () => mkdtempDisposable(join(tmpdir(), 'windlass-metrics-'))

describe.skipIf(lacking('root'))('metrics of the daemon', () => {
  it('count pulls that failed too, and say when it is ready', async ({ signal }) => {
    await using dir = await temp()
    await using windlass = await startWindlass(dir.path, { signal, env: { WINDLASS_METRICS_ADDRESS: '127.0.0.1:0' } })
    const port = (await windlass.daemon.line(/"metrics":\{"host":"127\.0\.0\.1","port":(\d+)\}/, { signal }))[1]
    const ask = async (path: string) => await fetch(`http://127.0.0.1:${port}${path}`, { signal })
    await windlass.daemon.line(/"msg":"ready"/, { signal })
    for (const probe of ['/livez', '/readyz', '/healthz']) expect((await ask(probe)).status).toBe(200)
    // Nobody listens on this port.
    const lost = windlass.cri.image.pullImage({ image: { image: '127.0.0.1:1/x:1' } }, { signal })
    await expect(lost).rejects.toThrow('no registry could be reached')
    expect(await (await ask('/metrics')).text()).toContain(
      'windlass_image_pulls_total{registry="127.0.0.1:1",result="failed",reason="registry-unavailable"} 1',
    )
  })

  it('are done without where the port is taken: images matter more', async ({ signal }) => {
    await using dir = await temp()
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const address = taken.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    await using windlass = await startWindlass(dir.path, { signal, env: { WINDLASS_METRICS_ADDRESS: `127.0.0.1:${port}` } })
    await windlass.daemon.line(/EADDRINUSE.*"msg":"metrics are not served"/, { signal })
    expect((await windlass.cri.image.listImages({}, { signal })).images).toEqual([])
    taken.close()
  })
})
