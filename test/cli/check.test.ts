/** `check`, against an embedded registry. */
import { mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { writeLayout } from '../integration/lists.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { buildImage, buildIndex, buildLayer, publish } from '../support/image.ts'
import { depsWith, windlass } from './terminal.ts'

const temporary = mkdtempDisposableSync(join(tmpdir(), 'windlass-check-'))
afterAll(() => temporary.remove())
let made = 0

const HEAD = 'apiVersion: windlass.dev/v1alpha1\nkind: ImageList\n'
function file(text: string): string {
  const path = join(temporary.path, `${++made}.yaml`)
  writeFileSync(path, text)
  return path
}
const listOf = (images: readonly (string | object)[], more: object = {}, name = 'base'): string =>
  `${HEAD}metadata: {name: ${name}}\nspec: ${JSON.stringify({ ...more, images: images.map((image) => (typeof image === 'string' ? { image } : image)) })}\n`

/** Two platforms; the first layer is shared by all. */
const shared = buildLayer({ tar: [{ name: 'shared', content: 'shared' }] })
const imageFor = (architecture: string, content: string) =>
  buildImage({ platform: { os: 'linux', architecture }, layers: [shared, { tar: [{ name: 'own', content }] }] })
const both = buildIndex([imageFor('amd64', 'one'), imageFor('arm64', 'two')])
const amd64 = imageFor('amd64', 'three')
const sizeOf = (...layers: readonly { readonly descriptor: { readonly size: number } }[]): number =>
  layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0)

const auth = { kind: 'basic', username: 'ci', password: 'secret-of-ci' } as const
const loginsOf = (host: string, password: string): string =>
  JSON.stringify({ auths: { [host]: { auth: Buffer.from(`${auth.username}:${password}`).toString('base64') } } })

const check = (args: readonly string[], env: Record<string, string> = {}) =>
  windlass(['--config', config, '--hosts-dir', temporary.path, 'check', ...args], depsWith(), { env })
const config = file('apiVersion: windlass.dev/v1alpha1\nkind: WindlassConfiguration\n')

describe('check', () => {
  test('every image for every platform, and the bytes of each, what is shared once', async () => {
    await using registry = await startRegistry()
    publish(registry, 'both', '1', both)
    publish(registry, 'one', '1', amd64)
    const lists = file(listOf([`${registry.host}/both:1`, `${registry.host}/one:1`]))
    const { code, stdout, stderr } = await check(['-f', lists, '--platform', 'linux/amd64', '-o', 'json'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const { images, totals, ...rest } = JSON.parse(stdout)
    expect(rest).toEqual({ lists: [{ name: 'base', priority: 0, images: 2 }] })
    const [inBoth] = both.images
    if (inBoth === undefined) throw new Error('no image')
    expect(images).toMatchObject([
      { list: 'base', image: `${registry.host}/both:1`, platform: 'linux/amd64', ok: true, imageId: inBoth.id },
      { image: `${registry.host}/one:1`, ok: true, imageId: amd64.id, bytes: sizeOf(...amd64.layers) },
    ])
    const bytes = sizeOf(shared, ...[inBoth, amd64].flatMap(({ layers }) => layers.slice(1)))
    expect(totals).toEqual([{ platform: 'linux/amd64', images: 2, bytes }])
    expect(registry.requests.filter(({ path }) => path.endsWith(shared.descriptor.digest))).toEqual([])
  })

  test('an architecture that is missing is one line, and exit code 1', async () => {
    await using registry = await startRegistry()
    publish(registry, 'both', '1', both)
    publish(registry, 'one', '1', buildIndex([amd64]))
    const lists = file(listOf([`${registry.host}/both:1`, `${registry.host}/one:1`, `${registry.host}/gone:1`]))
    const { code, stdout, stderr } = await check(['-f', lists, '--platform', 'linux/amd64', '--platform', 'arm64'])
    expect(code).toBe(1)
    expect(stdout).toMatch(/one:1 +linux\/arm64 +FAIL .*no image for linux\/arm64; it offers linux\/amd64/)
    expect(stdout).toMatch(/both:1 +linux\/arm64 +\d+ B +ok\n/)
    expect(stdout).toMatch(/gone:1 +linux\/amd64 +FAIL .*not found/)
    expect(stdout).toMatch(/^linux\/arm64: 1 image, \d+ B to transfer at most$/m)
    expect(stderr).toBe(
      'windlass: 2 images cannot be pulled as declared; mend what the lines above say of each, in the list or at its registry\n',
    )
  })

  test('logs in with a list’s secrets, else with --authfile; what is refused says so', async () => {
    await using registry = await startRegistry({ auth })
    publish(registry, 'one', '1', amd64)
    const image = `${registry.host}/one:1`
    const secrets = join(temporary.path, 'secrets')
    mkdirSync(join(secrets, 'regcred'), { recursive: true })
    writeFileSync(join(secrets, 'regcred', '.dockerconfigjson'), loginsOf(registry.host, auth.password))
    const lists = file(listOf([image], { imagePullSecrets: [{ name: 'regcred' }] }))
    const platform = ['--platform', 'linux/amd64']
    const home = { HOME: temporary.path, XDG_RUNTIME_DIR: temporary.path }
    expect((await check(['-f', lists, '--secrets-dir', secrets, ...platform], home)).stdout).toContain('ok, as ci')
    const [good, bad] = [auth.password, 'wrong'].map((password) => file(loginsOf(registry.host, password)))
    expect((await check(['-f', lists, '--authfile', `${good}`, ...platform])).stdout).toContain('ok, as ci')
    const refused = await check(['-f', lists, '--authfile', `${bad}`, ...platform])
    expect(refused).toMatchObject({ code: 1, stdout: expect.stringMatching(/FAIL authentication failed for .*as user ci/) })
    const missing = await check(['-f', lists, '--secrets-dir', temporary.path, ...platform], home)
    expect(missing.stderr).toMatch(/warning: list base: .*regcred\/\.dockerconfigjson/)
    // What a node would log in with was not tried.
    const untried = await check(['-f', lists, '--authfile', `${good}`, ...platform], home)
    expect(untried.stderr).toMatch(/warning: list base names pull secrets, regcred, which are not tried; .*--secrets-dir/)
    expect(untried.stderr.split('not tried')).toHaveLength(2)
    expect(refused.stdout + refused.stderr).not.toContain('wrong')
  })

  test('an image from an archive, and one that is not in it', async () => {
    const archives = join(temporary.path, 'archives')
    writeLayout(join(archives, 'app'), amd64, 'r.example/app:1')
    const entries = ['1', '2'].map((tag) => ({ image: `r.example/app:${tag}`, archive: 'app' }))
    const args = ['-f', file(listOf(entries)), '--platform', 'linux/amd64']
    const { code, stdout } = await check([...args, '--archive-dir', archives])
    expect(code).toBe(1)
    expect(stdout).toMatch(/app:1 .* ok\n/)
    expect(stdout).toMatch(/app:2 .* FAIL .*holds no image r\.example\/app:2/)
    expect((await check(args)).stdout).toMatch(/FAIL .*give --archive-dir/)
  })

  test.each([
    ['an unknown key', () => [file(listOf([], { priorty: 1 }))], /spec\.priorty: unknown key; perhaps priority is meant/],
    ['a file that is not there', () => [join(temporary.path, 'none.yaml')], /there is no such file/],
    ['one list in two files', () => [file(listOf([])), file(listOf([]))], /metadata\.name: .* has a list base already/],
    ['no file', () => [], /required option '-f, --file <file>'/],
  ])('refuses %s, exit code 2', async (_name, files, said) => {
    const { code, stdout, stderr } = await check(files().flatMap((each) => ['-f', each]))
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(said)
  })
})
