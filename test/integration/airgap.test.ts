/** Archives between Windlass and Debian's skopeo and podman, with a root of one's own, through a daemon, and into Debian's containerd. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempDisposableSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { writeArchive } from '../../src/archive/save.ts'
import { tarWriter } from '../../src/archive/writers.ts'
import { failureOf } from '../../src/failure/failure.ts'
import { hexOf, sha256 } from '../../src/oci/digest.ts'
import { buildImage } from '../support/image.ts'
import { tar } from '../support/tar.ts'
import { startContainerd } from './containerd.ts'
import { lacking } from './lacking.ts'
import { eventually } from './node.ts'
import { mounted, run } from './process.ts'
import { main, startWindlass } from './windlass.ts'

const NAME = 'r.example/team/app:v1'
const image = buildImage({
  layers: [
    {
      tar: [
        { name: 'etc/', type: 'dir', mode: 0o750 },
        { name: 'etc/one', content: 'one'.repeat(1000) },
      ],
    },
    {
      tar: [
        { name: 'etc/.wh.one', content: '' },
        { name: 'two', content: 'two' },
        { name: 'link', type: 'symlink', link: 'two' },
      ],
    },
    // Bytes behind the end of the archive are part of the layer.
    { tar: Buffer.concat([tar([{ name: 'three', content: 'three' }]), Buffer.alloc(4096)]) },
  ],
})

/** The image as an OCI archive. */
function archiveOf(
  dir: string,
  name = NAME,
  blobs = [image.bytes, image.config, ...image.layers.map(({ blob }) => blob)],
): string {
  const annotations = { 'org.opencontainers.image.ref.name': name }
  const index = JSON.stringify({ schemaVersion: 2, manifests: [{ ...image.descriptor, annotations }] })
  const members = blobs.map((content) => ({ name: `blobs/sha256/${hexOf(sha256(content))}`, content }))
  const path = join(dir, 'image.tar')
  writeFileSync(
    path,
    tar([{ name: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' }, { name: 'index.json', content: index }, ...members]),
  )
  return path
}

async function typed(args: readonly string[], input?: string) {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin.end(input === undefined ? undefined : readFileSync(input))
  const ended = new Promise<number | null>((resolve, reject) => child.once('exit', resolve).once('error', reject))
  const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)])
  return { code, stdout, stderr }
}

const place = (): string => {
  const temporary = mkdtempDisposableSync(join(tmpdir(), 'windlass-airgap-'))
  onTestFinished(() => temporary.remove())
  return temporary.path
}
const digestOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex')

describe.skipIf(lacking('root'))('load and save', () => {
  it('go through a daemon, which reads no file of the caller, and give the same archive each time', async ({ signal }) => {
    const dir = place()
    await using windlass = await startWindlass(join(dir, 'node'), { signal })
    const through = (...args: string[]) => typed(['--socket', windlass.socket, ...args])
    const loaded = await typed(['--socket', windlass.socket, 'load', '-q', '-'], archiveOf(dir))
    expect(loaded).toEqual({ code: 0, stdout: `${image.id}\n`, stderr: '' })
    const { images } = await windlass.cri.image.listImages({}, { signal })
    expect(images.map(({ id, repoTags }) => [id, repoTags])).toEqual([[image.id, [NAME]]])

    const [one, two] = [join(dir, 'one.tar'), join(dir, 'two.tar')]
    expect(await through('save', '-f', one, NAME)).toMatchObject({ code: 0, stdout: `${image.id}\n` })
    // A node that got it from there writes the same.
    expect((await typed(['--root', join(dir, 'other'), 'load', '-q', one])).stdout).toBe(`${image.id}\n`)
    expect((await typed(['--root', join(dir, 'other'), 'save', '-f', two, image.id])).code).toBe(0)
    expect(digestOf(two)).toBe(digestOf(one))
    expect(readdirSync(dir).filter((name) => name.endsWith('.partial'))).toEqual([])
  })

  it('change nothing where a blob is missing, and say which', async ({ signal }) => {
    const dir = place()
    await using windlass = await startWindlass(join(dir, 'node'), { signal })
    const [, two] = image.layers
    const blobs = [image.bytes, image.config, ...image.layers.filter((layer) => layer !== two).map(({ blob }) => blob)]
    const { code, stdout, stderr } = await typed(['--socket', windlass.socket, 'load', '-q', archiveOf(dir, NAME, blobs)])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(`cannot be loaded: it lacks ${two?.descriptor.digest}`)
    expect((await windlass.cri.image.listImages({}, { signal })).images).toEqual([])
    await eventually(async () => (await windlass.cri.windlass.listPulls({}, { signal })).pulls.length === 0, { signal })
  })

  it('leave no file of a layer that is not what was pulled', async () => {
    const dir = place()
    const root = join(dir, 'root')
    expect((await typed(['--root', root, 'load', '-q', archiveOf(dir)])).code).toBe(0)
    const [damaged] = readdirSync(join(root, 'overlay'), { recursive: true, encoding: 'utf8' }).filter((path) =>
      path.endsWith('diff/two'),
    )
    writeFileSync(join(root, 'overlay', damaged ?? ''), 'TWO')
    const { code, stderr } = await typed(['--root', root, 'save', '-f', join(dir, 'out.tar'), NAME])
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringMatching(/diffID from .* has the wrong digest/) })
    expect(readdirSync(dir).filter((name) => name.startsWith('out'))).toEqual([])
    expect(await typed(['--root', root, 'save', NAME])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/--file or with --dir/),
    })
  })

  it('ends at a signal, though nothing comes', async ({ signal }) => {
    const dir = place()
    const args = [main, '--root', join(dir, 'root'), 'load', '-']
    const child = spawn(process.execPath, args, {
      stdio: ['pipe', 'ignore', 'ignore'],
      signal,
      env: { ...process.env, TMPDIR: dir },
    })
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    // Its reader goes before it is all read.
    child.stdin.on('error', () => {})
    child.stdin.write(Buffer.alloc(1024 * 1024))
    const isSpooling = async (): Promise<boolean> =>
      readdirSync(`/proc/${child.pid}/fd`).some((fd) =>
        readlinkSync(`/proc/${child.pid}/fd/${fd}`).startsWith(`${dir}/windlass-load-`),
      )
    await eventually(() => isSpooling().catch(() => false), { signal })
    child.kill('SIGINT')
    expect(await ended).toBe(130)
  })

  it('write sizes that octal digits do not take', async () => {
    const head: Buffer[] = []
    const sizes = {
      id: image.id,
      tags: [],
      config: image.config,
      layers: [{ diffId: image.id, diff: '/nowhere', tarSplit: '/nowhere', size: 2 ** 40 }],
    }
    const writer = tarWriter(async (bytes) => void head.push(Buffer.from(bytes)))
    const failure = await writeArchive([sizes], 'docker', writer, { signal: new AbortController().signal }).catch(failureOf)
    expect(failure).toMatchObject({ kind: 'system', code: 'ENOENT' })
    expect(head.at(-1)?.subarray(124, 136).toString('hex')).toBe('800000000000010000000000')
  })
})

describe.skipIf(lacking('root', 'skopeo', 'podman'))("skopeo's and podman's archives", () => {
  it('are read, and ours are by them', async ({ signal }) => {
    const dir = place()
    const at = (name: string): string => join(dir, name)
    const source = archiveOf(dir)
    const copy = (from: string, to: string) =>
      run('skopeo', ['--insecure-policy', '--tmpdir', dir, 'copy', '-q', from, to], { signal })
    const podman = (...args: string[]) =>
      run('podman', ['--root', at('podman'), '--runroot', at('podman-run'), ...args], { signal })

    await copy(`oci-archive:${source}:${NAME}`, `docker-archive:${at('docker.tar')}:${NAME}`)
    await copy(`oci-archive:${source}:${NAME}`, `oci:${at('layout')}:${NAME}`)
    for (const made of ['docker.tar', 'layout'])
      expect((await typed(['--root', at(`from-${made}`), 'load', '-q', at(made)])).stdout).toBe(`${image.id}\n`)

    const root = at('from-layout')
    for (const [format, transport] of [
      ['oci', 'oci-archive'],
      ['docker', 'docker-archive'],
    ] as const) {
      const saved = at(`${format}.tar`)
      expect((await typed(['--root', root, 'save', '--format', format, '-f', saved, NAME])).code).toBe(0)
      await copy(`${transport}:${saved}:${NAME}`, `dir:${at(`dir-${format}`)}`)
      await podman('load', '-i', saved)
      expect(String(await podman('inspect', '--format', '{{.Id}}', NAME))).toContain(hexOf(image.id))
      await podman('save', '-q', '--format', transport, '-o', at(`podman-${format}.tar`), NAME)
      await podman('rmi', '-f', NAME)
      const again = await typed(['--root', at(`again-${format}`), 'load', '-q', at(`podman-${format}.tar`)])
      expect(again).toEqual({ code: 0, stdout: `${image.id}\n`, stderr: '' })
    }
  })
})

describe.skipIf(lacking('root', 'containerd'))('beside containerd', () => {
  it('an archive lands in containerd as a pull does, and is saved from there', async ({ signal }) => {
    const dir = place()
    using _mounted = mounted(dir, ['-t', 'tmpfs', '-o', 'size=1g,nr_inodes=0', 'tmpfs'])
    await using containerd = await startContainerd(join(dir, 'containerd'), { signal })
    await using windlass = await startWindlass(join(dir, 'node'), { signal, runtime: containerd })
    await eventually(async () => (await windlass.cri.windlass.info({}, { signal })).runtime?.missing === '', { signal })
    const loaded = await typed(['--socket', windlass.socket, 'load', '-q', archiveOf(dir)])
    expect(loaded).toEqual({ code: 0, stdout: `${image.id}\n`, stderr: '' })
    const { image: status } = await windlass.cri.image.imageStatus({ image: { image: NAME } }, { signal })
    expect(status).toMatchObject({ id: image.id, repoTags: [NAME] })
    const saved = join(dir, 'saved.tar')
    expect(await typed(['--socket', windlass.socket, 'save', '-f', saved, NAME])).toMatchObject({ code: 0 })
    expect((await typed(['--root', join(dir, 'own'), 'load', '-q', saved])).stdout).toBe(`${image.id}\n`)
  })
})
