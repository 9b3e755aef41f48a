/** The configuration files of runtimes, as far as they bind pulls. */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { readImageSettings } from '../../src/runtime/containerd-config.ts'
import { crioObstacles } from '../../src/runtime/crio-config.ts'

async function directory() {
  const dir = await mkdtempDisposable(join(tmpdir(), 'windlass-runtime-'))
  onTestFinished(() => dir.remove())
  return (name: string, content?: string): string => {
    const path = join(dir.path, name)
    mkdirSync(dirname(path), { recursive: true })
    if (content !== undefined) writeFileSync(path, content)
    return path
  }
}
const noVerifiers = "[plugins.'io.containerd.image-verifier.v1.bindir']\nbin_dir = ''\n"

it('a file of version 3 says how images are pulled', async () => {
  const at = await directory()
  const file = at(
    'config.toml',
    `version = 3
${noVerifiers}
[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = 'r.example/pause:3.10'
  [plugins.'io.containerd.cri.v1.images'.registry]
    config_path = '/etc/containerd/certs.d'
  [plugins.'io.containerd.cri.v1.images'.runtime_platforms.kata]
    snapshotter = 'devmapper'
`,
  )
  expect(readImageSettings(file)).toEqual({
    file,
    snapshotter: 'overlayfs',
    sandboxImage: 'r.example/pause:3.10',
    registry: { config_path: '/etc/containerd/certs.d' },
    snapshotters: { kata: 'devmapper' },
    verifiers: [],
    unread: [],
  })
})

it('so does one of version 2, which containerd 2 still reads', async () => {
  const at = await directory()
  const file = at(
    'config.toml',
    `version = 2
${noVerifiers}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "r.example/pause:3.6"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "zfs"
  [plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]
    endpoint = ["https://mirror.example"]
`,
  )
  expect(readImageSettings(file)).toEqual({
    file,
    snapshotter: 'zfs',
    sandboxImage: 'r.example/pause:3.6',
    registry: { mirrors: { 'docker.io': { endpoint: ['https://mirror.example'] } } },
    snapshotters: {},
    verifiers: [],
    unread: [],
  })
})

it('what it imports counts too, in any depth, and once', async () => {
  const at = await directory()
  at('conf.d/b.toml', `imports = ["../config.toml", "${at('more.toml')}"]\n[plugins."cri".registry.auths."r.example"]\n`)
  at('more.toml', noVerifiers)
  at('conf.d/a.toml', '[plugins.cri.registry]\nconfig_path = "/a"\n')
  at('conf.d/c.toml', 'this is no TOML')
  const file = at('config.toml', 'imports = ["conf.d/*.toml"]\n[plugins.cri.registry]\nconfig_path = "/main"\n')
  expect(readImageSettings(file)).toEqual({
    file,
    registry: { config_path: '/a', auths: { 'r.example': {} } },
    snapshotters: {},
    verifiers: [],
    // What cannot be read may say anything.
    unread: [at('conf.d/c.toml')],
  })
})

it('verifiers are the programs in their directory, unless they are switched off', async () => {
  const at = await directory()
  chmodSync(at('bin/check', '#!/bin/sh\n'), 0o755)
  chmodSync(at('bin/README', ''), 0o644)
  const table = `[plugins.'io.containerd.image-verifier.v1.bindir']\nbin_dir = '${at('bin')}'\n`
  expect(readImageSettings(at('config.toml', table)).verifiers).toEqual(['check'])
  const disabled = 'disabled_plugins = ["io.containerd.image-verifier.v1.bindir"]\n'
  expect(readImageSettings(at('config.toml', disabled + table)).verifiers).toEqual([])
  expect(readImageSettings(at('config.toml', noVerifiers)).verifiers).toEqual([])
})

it('of a file that is not there, nothing is said', async () => {
  const at = await directory()
  expect(readImageSettings(at('config.toml'))).toEqual({ file: at('config.toml'), snapshotters: {}, verifiers: [], unread: [] })
})

const open = JSON.stringify({
  default: [{ type: 'insecureAcceptAnything' }],
  transports: { 'docker-daemon': { '': [{ type: 'insecureAcceptAnything' }] } },
})

it.each<[string, policy: string | undefined, RegExp | undefined]>([
  ['nothing', undefined, undefined],
  ['an open policy', open, undefined],
  ['signatures for all', JSON.stringify({ default: [{ type: 'reject' }] }), /policy\.json wants signatures/],
  [
    'signatures for some',
    JSON.stringify({
      default: [{ type: 'insecureAcceptAnything' }],
      transports: { docker: { 'r.example': [{ type: 'signedBy' }] } },
    }),
    /policy\.json wants signatures/,
  ],
  ['a policy nobody can read', '{', /cannot be read as a signature policy/],
])('CRI-O with %s', async (_, policy, words) => {
  const at = await directory()
  if (policy !== undefined) at('policy.json', policy)
  expect(crioObstacles(dirname(at('any')))).toEqual(words === undefined ? [] : [expect.stringMatching(words)])
})

it('registries.conf is no obstacle: it is read for every pull', async () => {
  const at = await directory()
  at('policy.json', open)
  at('registries.conf', '[[registry]]\nlocation = "r.example"\nblocked = true\n')
  expect(crioObstacles(dirname(at('any')))).toEqual([])
})

it('a FIFO for a file of theirs is one that cannot be read, and not waited for', async () => {
  const at = await directory()
  for (const name of ['policy.json', 'config.toml']) execFileSync('mkfifo', [at(name)])
  expect(crioObstacles(dirname(at('any')))).toEqual([expect.stringMatching(/policy\.json cannot be read/)])
  expect(readImageSettings(at('config.toml')).unread).toEqual([at('config.toml')])
})

it('more than a MiB is not read', async () => {
  const at = await directory()
  const text = '#'.repeat(2 ** 20 + 1)
  expect(readImageSettings(at('config.toml', text)).unread).toEqual([at('config.toml')])
  at('policy.json', text)
  expect(crioObstacles(dirname(at('any')))).toEqual([expect.stringMatching(/policy\.json cannot be read/)])
})
