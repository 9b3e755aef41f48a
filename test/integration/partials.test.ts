/** A daemon that is killed in the middle of a large layer, and started again. */
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { hexOf } from '../../src/oci/digest.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { buildImage, buildLayer, publish } from '../support/image.ts'
import { startWindlass } from './windlass.ts'

const MB = 1_000_000
const isRoot = process.getuid?.() === 0
const layer = buildLayer({ tar: [{ name: 'large', content: randomBytes(40 * MB) }], compression: 'none' })

describe.skipIf(!isRoot)('with keepPartials, a daemon that is killed', () => {
  it('goes on with the layer where it was', { timeout: 120_000 }, async ({ signal }) => {
    await using temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-killed-'))
    await using registry = await startRegistry({ blobBytesPerSecond: 20 * MB })
    publish(registry, 'app', '1', buildImage({ layers: [layer] }))
    const config = join(temporary.path, 'windlass.yaml')
    const head = 'apiVersion: windlass.dev/v1alpha1\nkind: WindlassConfiguration\n'
    writeFileSync(config, `${head}keepPartials: true\n`)
    const env = { WINDLASS_CONFIG: config }
    const image = { image: { image: `${registry.host}/app:1` } }
    const dir = join(temporary.path, 'root', 'partials')
    const file = join(dir, hexOf(layer.descriptor.digest))
    {
      await using windlass = await startWindlass(temporary.path, { signal, env })
      const pull = windlass.cri.image.pullImage(image, { signal }).then(
        () => 'pulled',
        () => 'lost',
      )
      await expect.poll(() => existsSync(file) && statSync(file).size > 10 * MB, { timeout: 60_000 }).toBe(true)
      process.kill(windlass.daemon.pid, 'SIGKILL')
      expect(await pull).toBe('lost')
    }
    const { size } = statSync(file)
    await using windlass = await startWindlass(temporary.path, { signal, env })
    await windlass.cri.image.pullImage(image, { signal })
    const asked = registry.requests.filter(({ path }) => path.endsWith(layer.descriptor.digest)).map(({ range }) => range)
    expect(asked).toEqual([undefined, `bytes=${size}-`])
    expect(readdirSync(dir)).toEqual([])
  })
})
