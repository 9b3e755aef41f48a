/** What `npm pack` makes, in a folder where nothing else is: it brings its Node, and pulls. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir, mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { top } from '../../scripts/release/compile.ts'
import { here } from '../integration/images.ts'
import { lacking } from '../integration/lacking.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { buildImage, buildLayer, publish } from '../support/image.ts'
import { runIn } from './run.ts'

const packed = z.tuple([z.object({ filename: z.string(), files: z.array(z.object({ path: z.string() })) })])

describe.skipIf(lacking('root', 'npm', 'npx'))('the npm package', () => {
  it('is installed in an empty folder, and pulls', { timeout: 600_000 }, async ({ signal }) => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-npm-'))
    const folder = join(dir.path, 'empty')
    await mkdir(folder)
    const [{ filename, files }] = packed.parse(
      JSON.parse(await runIn(top, 'npm', ['pack', '--json', '--loglevel=error', '--pack-destination', dir.path], { signal })),
    )
    const paths = files.map(({ path }) => path)
    expect(paths).toEqual(expect.arrayContaining(['bin/windlass', 'lib/main.js', 'proto/windlass/v1/windlass.proto', 'LICENSE']))
    expect(paths.filter((path) => path.endsWith('.ts') || path.startsWith('test/'))).toEqual([])

    await runIn(folder, 'npm', ['install', '--prefer-offline', '--no-audit', join(dir.path, filename)], { signal })
    const windlass = (...args: readonly string[]) => runIn(folder, 'npx', ['--no-install', 'windlass', ...args], { signal })
    const { version } = z.object({ version: z.string() }).parse(JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')))
    expect(await windlass('--socket', join(dir.path, 'none.sock'), 'version')).toContain(
      `windlass  ${version} (Node ${process.version})`,
    )

    await using registry = await startRegistry()
    const layers = [buildLayer({ tar: [{ name: 'here', content: 'yes' }], compression: 'gzip' })]
    publish(registry, 'test/app', '1', buildImage({ platform: here, layers }))
    const root = ['--root', join(dir.path, 'root')]
    await windlass(...root, 'pull', `${registry.host}/test/app:1`)
    expect(await windlass(...root, 'images')).toMatch(/test\/app +1 /)
    const verified = spawnSync(join(folder, 'node_modules/.bin/windlass'), [...root, 'verify'], { encoding: 'utf8' })
    expect(verified).toMatchObject({ status: 0 })
  })
})
