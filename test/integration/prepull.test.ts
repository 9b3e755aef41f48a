/** Lists of images, pulled by a real daemon before anybody asks: with a store of its own, and into containerd. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Abortable } from '../../src/task/task.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { publish } from '../support/image.ts'
import { startContainerd } from './containerd.ts'
import { shellImage } from './images.ts'
import { lacking } from './lacking.ts'
import { eventually } from './node.ts'
import { mounted } from './process.ts'
import { startWindlass, type Windlass } from './windlass.ts'

const HEAD = 'apiVersion: windlass.dev/v1alpha1\nkind: '
const auth = { kind: 'basic', username: 'puller', password: 'pw-of-the-list' } as const

/** A configuration, and the directories it names. */
function settings(dir: string) {
  const [lists, secrets, file] = [join(dir, 'lists'), join(dir, 'secrets'), join(dir, 'windlass.yaml')]
  for (const each of [lists, join(secrets, 'regcred')]) mkdirSync(each, { recursive: true })
  writeFileSync(file, `${HEAD}WindlassConfiguration\nprepull: {listDir: ${lists}, secretsDir: ${secrets}, minFreePercent: 1}\n`)
  return {
    env: { WINDLASS_CONFIG: file },
    declare: (...images: readonly string[]) =>
      writeFileSync(
        join(lists, 'base.yaml'),
        `${HEAD}ImageList\nmetadata: {name: base}\nspec:\n  imagePullSecrets: [{name: regcred}]\n  images: [${images.map((image) => `{image: "${image}"}`).join(', ')}]\n`,
      ),
    login: (host: string) => {
      const login = Buffer.from(`${auth.username}:${auth.password}`).toString('base64')
      writeFileSync(join(secrets, 'regcred', '.dockerconfigjson'), JSON.stringify({ auths: { [host]: { auth: login } } }))
    },
  }
}

const pinnedIn = async ({ cri }: Windlass, { signal }: Abortable): Promise<Readonly<Record<string, boolean>>> => {
  const { images } = await cri.image.listImages({}, { signal })
  return Object.fromEntries(images.flatMap(({ repoTags, pinned }) => repoTags.map((tag) => [tag, pinned])))
}

describe.skipIf(lacking('root', 'busybox'))('a daemon with lists', () => {
  it('pulls and pins what they declare, with their secrets; follows them; reads them anew at SIGHUP', async ({ signal }) => {
    await using registry = await startRegistry({ auth })
    await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-prepull-'))
    for (const tag of ['1', '2']) publish(registry, 'test/shell', tag, shellImage())
    const [first, second] = ['1', '2'].map((tag) => `${registry.host}/test/shell:${tag}`)
    const { env, declare, login } = settings(dir.path)
    login(registry.host)
    declare(`${first}`)
    await using windlass = await startWindlass(dir.path, { signal, env })
    await eventually(async () => (await pinnedIn(windlass, { signal }))[`${first}`] === true, { signal })
    writeFileSync(join(dir.path, 'lists', 'bad.yaml'), `${HEAD}ImageList\nmetadata: {nam: x}\n`)
    process.kill(windlass.daemon.pid, 'SIGHUP')
    await windlass.daemon.line(/bad\.yaml:3: metadata\.nam: unknown key; perhaps name is meant/, { signal })
    writeFileSync(join(dir.path, 'lists', 'bad.yaml'), '')
    declare(`${second}`)
    await eventually(async () => `${second}` in (await pinnedIn(windlass, { signal })), { signal })
    expect(windlass.daemon.output()).not.toContain(auth.password)
  })
})

describe.skipIf(lacking('root', 'containerd', 'busybox'))('beside containerd', () => {
  it('they land there, with a time that is renewed, and are told to be unprotected', async ({ signal }) => {
    await using registry = await startRegistry()
    await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-prepull-'))
    using _mounted = mounted(dir.path, ['-t', 'tmpfs', '-o', 'size=1g,nr_inodes=0', 'tmpfs'])
    publish(registry, 'test/shell', '1', shellImage())
    const reference = `${registry.host}/test/shell:1`
    await using containerd = await startContainerd(join(dir.path, 'containerd'), { signal })
    const { env, declare, login } = settings(dir.path)
    login(registry.host)
    declare(reference)
    await using windlass = await startWindlass(join(dir.path, 'windlass'), { signal, env, runtime: containerd })
    await eventually(async () => reference in (await pinnedIn(windlass, { signal })), { signal })
    await windlass.daemon.line(/unprotected/, { signal })
    const detail = await windlass.cri.windlass.inspectImage({ image: reference }, { signal })
    expect(JSON.stringify(detail)).toMatch(/expire/i)
  })
})
