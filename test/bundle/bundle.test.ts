import { execFileSync, spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempDisposableSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { BundleRequest } from '../../src/bundle/bundle.ts'
import { isBundle, removeBundle } from '../../src/bundle/remove.ts'
import { writeBundle } from '../../src/bundle/write.ts'
import type { ImageConfig, RunConfig } from '../../src/oci/oci.ts'
import { isOurMount } from '../../src/sys/mount.ts'
import { helloElf } from '../support/elf.ts'

const root = process.getuid?.() === 0
const runc = root && spawnSync('runc', ['--version']).status === 0
if (!root) console.warn('skipped: bundles are mounted, which needs root')
else if (!runc) console.warn('skipped: no runc on PATH, bundles are not run')

let temporary: ReturnType<typeof mkdtempDisposableSync>
let overlayDir: string
let dir: string

beforeEach(() => {
  temporary = mkdtempDisposableSync(join(tmpdir(), 'windlass-bundle-'))
  overlayDir = join(temporary.path, 'overlay')
  dir = join(temporary.path, 'bundle')
  for (const layer of ['l/base', 'l/top']) mkdirSync(join(overlayDir, layer, 'etc'), { recursive: true })
})
afterEach(() => {
  if (isBundle(dir)) removeBundle(dir)
  temporary.remove()
})

const nothing: RunConfig = { exposedPorts: [], env: [], entrypoint: [], cmd: [], volumes: [], labels: {} }
function request(run: Partial<RunConfig>, rest: Partial<BundleRequest> = {}): BundleRequest {
  const config: ImageConfig = { platform: { os: 'linux', architecture: 'amd64' }, run: { ...nothing, ...run }, diffIds: [] }
  const image = { reference: 'r.example/hello:1', id: `sha256:${'a'.repeat(64)}`, config, overlayDir, lower: ['l/top', 'l/base'] }
  return { dir, image, args: [], network: 'none', ...rest }
}
const writeLayer = (layer: string, path: string, text: string | Buffer, mode = 0o644) => {
  const file = join(overlayDir, 'l', layer, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text, { mode })
}
const configJson = () => JSON.parse(readFileSync(join(dir, 'config.json'), 'utf8'))

describe.runIf(root)('a bundle', () => {
  test('holds the image merged and writable, and its config in the runtime form', () => {
    writeLayer('base', 'etc/passwd', 'web:x:33:34::/:/bin/sh\n')
    writeLayer('top', 'etc/group', 'extra:x:50:web\n')
    const bundle = writeBundle(
      request({
        user: 'web',
        env: ['A=1', 'broken'],
        entrypoint: ['/bin/serve'],
        cmd: ['--port', '80'],
        workingDir: 'srv',
        exposedPorts: ['80/tcp', '443/tcp'],
        stopSignal: 'SIGQUIT',
        labels: { tier: 'front', 'org.opencontainers.image.os': 'plan9', 'run.oci.hooks.stdout': '/x' },
      }),
    )
    expect(bundle).toMatchObject({ dir, args: ['/bin/serve', '--port', '80'] })
    expect(bundle.warnings).toEqual([
      'Env "broken" left out: not NAME=value',
      'label "run.oci.hooks.stdout" left out: a runtime would act upon it',
    ])
    expect(configJson()).toMatchObject({
      process: {
        user: { uid: 33, gid: 34, additionalGids: [34, 50] },
        args: ['/bin/serve', '--port', '80'],
        env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'A=1'],
        cwd: '/srv',
      },
      root: { path: 'rootfs' },
    })
    expect(configJson().annotations).toEqual({
      tier: 'front',
      'org.opencontainers.image.os': 'plan9',
      'org.opencontainers.image.architecture': 'amd64',
      'org.opencontainers.image.stopSignal': 'SIGQUIT',
      'org.opencontainers.image.exposedPorts': '80/tcp,443/tcp',
    })
    writeFileSync(join(dir, 'rootfs', 'new'), '')
    expect(readdirSync(join(dir, 'upper'))).toEqual(['new'])
    expect(existsSync(join(overlayDir, 'l', 'top', 'new'))).toBe(false)
  })

  test('is taken apart whole, twice without harm, and leaves what is not its own', () => {
    mkdirSync(dir)
    writeBundle(request({ cmd: ['/x'] }))
    writeFileSync(join(dir, 'notes'), '')
    removeBundle(dir)
    removeBundle(dir)
    expect(readdirSync(dir)).toEqual(['notes'])
    expect(isOurMount(join(dir, 'rootfs'))).toBe(false)
  })

  test('a directory made for it goes with it', () => {
    writeBundle(request({ cmd: ['/x'] }))
    removeBundle(dir)
    expect(existsSync(dir)).toBe(false)
  })

  test('arguments replace Cmd and leave Entrypoint', () => {
    expect(writeBundle(request({ entrypoint: ['/e'], cmd: ['c'] }, { args: ['a', 'b'] })).args).toEqual(['/e', 'a', 'b'])
  })

  test.each([
    ['nothing to run', {}, 'neither Entrypoint nor Cmd'],
    ['an unknown user', { cmd: ['/x'], user: 'ghost' }, 'no user "ghost"'],
  ])('%s leaves nothing behind', (_name, run, reason) => {
    expect(() => writeBundle(request(run))).toThrow(reason)
    expect(existsSync(dir)).toBe(false)
  })

  test('a directory that is not empty is refused and stays', () => {
    mkdirSync(dir)
    writeFileSync(join(dir, 'mine'), '')
    expect(() => writeBundle(request({ cmd: ['/x'] }))).toThrow('it is not empty')
    expect(readdirSync(dir)).toEqual(['mine'])
  })
})

describe.runIf(root)('passwd of a hostile image', () => {
  const passwd = () => join(overlayDir, 'l', 'base', 'etc', 'passwd')
  const attempt = () => writeBundle(request({ cmd: ['/x'], user: 'root' }))

  test('a symlink is refused, wherever it leads', () => {
    symlinkSync('/etc/passwd', passwd())
    expect(attempt).toThrow('/etc/passwd from the image is malformed: it is a symlink')
    expect(existsSync(dir)).toBe(false)
  })

  test('a FIFO is refused without waiting for it', () => {
    execFileSync('mkfifo', [passwd()])
    expect(attempt).toThrow('it is no regular file')
  })

  test('a device is refused without reading it', () => {
    execFileSync('mknod', [passwd(), 'c', '1', '5'])
    expect(attempt).toThrow('it is no regular file')
  })

  test('a huge file is refused', () => {
    writeFileSync(passwd(), 'x'.repeat((1 << 20) + 1))
    expect(attempt).toThrow('larger than')
  })

  test('/etc as a symlink is followed inside the image', () => {
    writeLayer('base', 'real/passwd', 'root:x:77:78::/:\n')
    execFileSync('rm', ['-r', join(overlayDir, 'l', 'base', 'etc'), join(overlayDir, 'l', 'top', 'etc')])
    symlinkSync('../../../../real', join(overlayDir, 'l', 'base', 'etc'))
    attempt()
    expect(configJson().process.user).toEqual({ uid: 77, gid: 78, additionalGids: [78] })
  })
})

/** Programs of this machine with the libraries they load, copied into a layer. */
function copyPrograms(layer: string, programs: readonly string[]): void {
  for (const program of programs) {
    const libraries = [...execFileSync('ldd', [program], { encoding: 'utf8' }).matchAll(/(\/\S+)/g)].map(([path]) => path)
    for (const file of [program, ...libraries]) {
      const to = join(overlayDir, 'l', layer, file)
      mkdirSync(dirname(to), { recursive: true })
      copyFileSync(file, to)
    }
  }
}
const run = (id: string) => spawnSync('runc', ['run', '--bundle', dir, id], { encoding: 'utf8' })

describe.runIf(runc)('runc runs it', () => {
  test('the program of one layer sees the whiteout of another', () => {
    writeLayer('base', 'deleted', 'still here?')
    writeLayer('base', 'hello', helloElf(process.arch === 'arm64' ? 'arm64' : 'amd64', { absent: '/deleted' }), 0o755)
    execFileSync('mknod', [join(overlayDir, 'l', 'top', 'deleted'), 'c', '0', '0'])
    writeBundle(request({ entrypoint: ['/hello'] }))
    expect(run(`windlass-test-${process.pid}-1`)).toMatchObject({
      stdout: expect.stringMatching(/^hello from \w+\ndeleted file absent\n$/),
      status: 0,
    })
  })

  test.each(['none', 'host'] as const)(
    'as the user, with the environment and in the directory it should, network %s',
    (network) => {
      copyPrograms('base', ['/bin/sh', '/usr/bin/id', '/usr/bin/env', '/bin/ls'])
      writeLayer('top', 'etc/passwd', 'app:x:1000:1001::/:/bin/sh\n')
      writeLayer('top', 'etc/group', 'extra:x:44:app\n')
      const script = 'id -u; id -g; id -G; pwd; echo $COLOUR; ls /sys/class/net'
      const options = { user: 'app', workingDir: '/work/here', env: ['COLOUR=blue'], entrypoint: ['sh', '-c', script] }
      writeBundle(request(options, { network }))
      const { stdout, stderr, status } = run(`windlass-test-${process.pid}-${network}`)
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      const [uid, gid, groups, cwd, colour, ...links] = stdout.trim().split('\n')
      expect({ uid, gid, groups, cwd, colour }).toEqual({
        uid: '1000',
        gid: '1001',
        groups: '1001 44',
        cwd: '/work/here',
        colour: 'blue',
      })
      expect(links).toEqual(network === 'none' ? ['lo'] : readdirSync('/sys/class/net').filter((link) => links.includes(link)))
      expect(links).toContain('lo')
    },
  )
})
