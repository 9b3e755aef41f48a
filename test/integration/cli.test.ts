/** The command line as a person uses it: `./windlass` against a daemon, and without one. */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Abortable } from '../../src/task/task.ts'
import { startRegistry, type TestRegistry } from '../registry/embedded-registry.ts'
import { helloElf } from '../support/elf.ts'
import { type BuiltImage, buildImage, publish } from '../support/image.ts'
import { lacking } from './lacking.ts'
import { startNode, type TestNode } from './node.ts'
import { run } from './process.ts'

const launcher = join(import.meta.dirname, '..', '..', 'windlass')
const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64'

type Ran = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

describe.skipIf(lacking('root'))('the command line', () => {
  let registry: TestRegistry
  let node: TestNode
  let image: BuiltImage
  let reference: string

  beforeAll(async () => {
    registry = await startRegistry()
    node = await startNode({ signal: AbortSignal.timeout(30_000) })
    image = buildImage({
      platform: { os: 'linux', architecture },
      run: { Cmd: ['/hello'], Env: ['PATH=/'], User: 'someone', WorkingDir: '/work' },
      layers: [
        {
          tar: [
            { name: 'etc/passwd', content: 'root:x:0:0::/:/hello\nsomeone:x:1234:1235::/:/hello\n' },
            { name: 'deleted', content: 'by the layer above' },
            { name: 'work/', type: 'dir' },
          ],
        },
        { tar: [{ name: 'hello', mode: 0o755, content: helloElf(architecture, { absent: '/deleted' }) }] },
        { tar: [{ name: '.wh.deleted' }] },
      ],
    })
    publish(registry, 'test/hello', '1', image)
    reference = `${registry.host}/test/hello:1`
  })
  afterAll(async () => {
    await node?.[Symbol.asyncDispose]()
    await registry?.[Symbol.asyncDispose]()
  })

  /** Runs the launcher with this daemon's socket in its environment. */
  async function windlass(
    args: readonly string[],
    { signal }: Abortable,
    env: Readonly<Record<string, string>> = {},
  ): Promise<Ran> {
    const child = spawn(launcher, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, WINDLASS_SOCKET: node.windlass.socket, ...env },
      signal,
    })
    const code = new Promise<number | null>((resolve, reject) => child.once('exit', resolve).once('error', reject))
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
    return { code: await code, stdout, stderr }
  }

  it('plans, pulls, lists, inspects and removes', async ({ signal }) => {
    const plan = await windlass(['-o', 'json', 'plan', reference], { signal })
    expect(plan.code).toBe(0)
    const size = image.layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0)
    expect(JSON.parse(plan.stdout)).toMatchObject({ imageId: image.id, present: false, bytesToFetch: size })
    expect((await node.windlass.cri.image.listImages({}, { signal })).images).toEqual([])

    const pulled = await windlass(['pull', reference], { signal })
    expect([pulled.code, pulled.stdout]).toEqual([0, `${image.id}\n`])
    expect(pulled.stderr).not.toBe('')

    const images = await windlass(['-o', 'json', 'images'], { signal })
    expect(JSON.parse(images.stdout)).toMatchObject([{ id: image.id, tags: [reference] }])
    expect((await windlass(['images'], { signal })).stdout).toContain(`${registry.host}/test/hello`)
    const inspected = await windlass(['-o', 'json', 'inspect', reference], { signal })
    expect(JSON.parse(inspected.stdout)).toMatchObject({ id: image.id, layers: [{}, {}, {}] })
    expect(JSON.parse((await windlass(['-o', 'json', 'ps'], { signal })).stdout)).toEqual([])

    const removed = await windlass(['rmi', reference], { signal })
    expect(removed.code).toBe(0)
    expect(JSON.parse((await windlass(['-o', 'json', 'images'], { signal })).stdout)).toEqual([])
    expect(readdirSync(join(node.windlass.root, 'overlay')).filter((name) => name !== 'l')).toEqual([])
  })

  it('writes every event as a line of JSON', async ({ signal }) => {
    const { code, stdout } = await windlass(['pull', '--json', reference], { signal })
    expect(code).toBe(0)
    const types = stdout
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line).type)
    expect(types.filter((type) => type !== 'progress')).toEqual([
      'begun',
      'resolved',
      'planned',
      'room',
      'layer',
      'layer',
      'layer',
      'sealed',
      'done',
    ])
  })

  it('mounts the merged tree and takes it away', async ({ signal }) => {
    await windlass(['pull', '-q', reference], { signal })
    const dir = node.at('mounted')
    expect((await windlass(['mount', reference, dir], { signal })).code).toBe(0)
    expect(readdirSync(dir).toSorted()).toEqual(['etc', 'hello', 'work'])
    expect((await windlass(['unmount', dir], { signal })).code).toBe(0)
    expect(readdirSync(dir)).toEqual([])
  })

  it('finds what was changed in a layer, and mends it once nobody has it mounted', async ({ signal }) => {
    await windlass(['pull', '-q', reference], { signal })
    const inspected = JSON.parse((await windlass(['-o', 'json', 'inspect', reference], { signal })).stdout)
    const hello = join(inspected.layers[1].diff, 'hello')
    const packed = readFileSync(hello)
    writeFileSync(hello, Buffer.alloc(packed.length))
    const found = await windlass(['verify', reference], { signal })
    expect([found.code, found.stdout]).toEqual([1, expect.stringMatching(/^ {2}content +hello: other bytes than in the layer$/m)])
    const dir = node.at('in-use')
    expect((await windlass(['mount', reference, dir], { signal })).code).toBe(0)
    const refused = await windlass(['verify', '--repair', reference], { signal })
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining(`while it is mounted (${dir})`)])
    expect((await windlass(['unmount', dir], { signal })).code).toBe(0)
    expect((await windlass(['verify', '--repair', reference], { signal })).code).toBe(0)
    expect(readFileSync(hello).equals(packed)).toBe(true)
    const doctor = await windlass(['--root', node.windlass.root, 'doctor'], { signal }, { WINDLASS_SOCKET: '' })
    expect(doctor.stdout).toMatch(/^ok +layers +none is known to be damaged/m)
  })

  it.skipIf(lacking('runc'))('makes a bundle that runc starts', async ({ signal }) => {
    await windlass(['pull', '-q', reference], { signal })
    const dir = node.at('bundle')
    const made = await windlass(['bundle', reference, dir], { signal })
    expect([made.code, made.stderr]).toEqual([0, ''])
    const config = JSON.parse(readFileSync(join(dir, 'config.json'), 'utf8'))
    expect(config.process).toMatchObject({ args: ['/hello'], cwd: '/work', user: { uid: 1234, gid: 1235 } })
    const state = node.at('runc')
    const id = `windlass-test-${process.pid}`
    expect(await run('runc', ['--root', state, 'run', '--bundle', dir, id], { signal })).toContain(`hello from ${architecture}`)
    expect((await windlass(['unmount', dir], { signal })).code).toBe(0)
  })

  it('pulls without a daemon, on a root of its own', async ({ signal }) => {
    const own = node.at('own-root')
    const alone = { WINDLASS_SOCKET: '', WINDLASS_HOSTS_DIR: node.at('no-hosts') }
    const pulled = await windlass(['--root', own, 'pull', '-q', reference], { signal }, alone)
    expect([pulled.code, pulled.stdout]).toEqual([0, `${image.id}\n`])
    expect(
      JSON.parse((await windlass(['--root', own, '-o', 'json', 'inspect', reference], { signal }, alone)).stdout),
    ).toMatchObject({
      id: image.id,
      receipts: [{ identity: 'anonymous', host: registry.host, name: `${registry.host}/test/hello@${image.descriptor.digest}` }],
      receiptsSince: expect.stringMatching(/^20/),
    })
    expect(statSync(join(own, 'windlass.identity'))).toMatchObject({ size: 32, mode: 0o100600 })
  })

  it('with registry.recheckAccess takes no mirror’s word, which it does without', async ({ signal }) => {
    const hosts = node.at('only-mirrors')
    mkdirSync(join(hosts, 'private.test'), { recursive: true })
    writeFileSync(join(hosts, 'private.test', 'hosts.toml'), `server = "${registry.origin}"\n`)
    const config = node.at('recheck.yaml')
    writeFileSync(config, 'apiVersion: windlass.dev/v1alpha1\nkind: WindlassConfiguration\nregistry: {recheckAccess: true}\n')
    const alone = { WINDLASS_SOCKET: '', WINDLASS_HOSTS_DIR: hosts }
    const pull = ['--root', node.at('recheck-root'), 'pull', '-q', 'private.test/test/hello:1']
    const refused = await windlass(pull, { signal }, { ...alone, WINDLASS_CONFIG: config })
    expect([refused.code, refused.stdout]).toEqual([1, ''])
    expect(refused.stderr).toContain('hosts.toml leaves only mirrors')
    expect(await windlass(pull, { signal }, alone)).toMatchObject({ code: 0, stdout: `${image.id}\n` })
  })

  it('works through a symlink to the launcher', async ({ signal }) => {
    const link = node.at('bin-windlass')
    await run('ln', ['-s', launcher, link], { signal })
    expect((await run(link, ['--version'], { signal })).trim()).toMatch(/^\d+\.\d+\.\d+/)
  })

  it('says with its exit code what went wrong', async ({ signal }) => {
    const unknown = await windlass(['pull', '-q', `${registry.host}/test/hello:2`], { signal })
    expect([unknown.code, unknown.stdout]).toEqual([1, ''])
    expect(unknown.stderr).toContain('not found')
    expect((await windlass(['pull', 'library/Upper'], { signal })).code).toBe(2)
    expect((await windlass(['pull', '--no-such-flag', reference], { signal })).code).toBe(2)
    expect((await windlass(['no-such-command'], { signal })).code).toBe(2)
    const nobody = await windlass(['images'], { signal }, { WINDLASS_SOCKET: join(dirname(node.windlass.socket), 'nobody.sock') })
    expect(nobody.code).toBe(1)
    expect(nobody.stderr).toContain('windlass serve')
    expect((await windlass(['--help'], { signal })).code).toBe(0)
  })

  it('ends with 130 when interrupted, and the pull with it', async ({ signal }) => {
    const slow = buildImage({ platform: { os: 'linux', architecture }, layers: [{ tar: [{ name: 'slow', content: 'x' }] }] })
    publish(registry, 'test/slow', '1', slow)
    const gate = Promise.withResolvers<void>()
    const held = slow.layers[0]?.descriptor.digest ?? ''
    registry.fault = ({ path }) => (path.endsWith(held) ? { kind: 'hold', until: gate.promise } : undefined)
    try {
      const child = spawn(launcher, ['pull', `${registry.host}/test/slow:1`], {
        stdio: 'ignore',
        env: { ...process.env, WINDLASS_SOCKET: node.windlass.socket },
        signal,
      })
      const code = new Promise((resolve) => child.once('exit', resolve))
      await node.pulls((pulls) => pulls.some(({ phase }) => phase === 'pulling'), { signal })
      child.kill('SIGINT')
      expect(await code).toBe(130)
      await node.pulls((pulls) => pulls.length === 0, { signal })
    } finally {
      gate.resolve()
      registry.fault = undefined
    }
    expect(existsSync(node.windlass.socket)).toBe(true)
  })
})
