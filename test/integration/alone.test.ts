/** A daemon that takes no runtime's images to be its own, and says so. */
import { existsSync } from 'node:fs'
import { mkdtempDisposable, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { lacking } from './lacking.ts'
import { startWindlass } from './windlass.ts'

/** Where one would be found (runtime/find.ts). */
const hasRuntime = ['/run/containerd/containerd.sock', '/run/crio/crio.sock', '/var/run/crio/crio.sock'].some((socket) =>
  existsSync(socket),
)

describe.skipIf(lacking('root'))('a daemon of its own', () => {
  const toldWith = async (runtime: string, { signal }: { readonly signal: AbortSignal }): Promise<string> => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-alone-'))
    await using daemon = await startWindlass(dir.path, { signal, env: { WINDLASS_RUNTIME: runtime } })
    const line = daemon.daemon
      .output()
      .split('\n')
      .find((each) => each.includes('images stay in'))
    return (line ?? '').replace(dir.path, '')
  }

  it('says where images stay, where no runtime is wanted', async ({ signal }) => {
    expect(await toldWith('none', { signal })).toContain('"runtime":"none","msg":"no runtime is wanted: images stay in /root"')
  })

  it('starts whatever lies where parts of layers are kept', async ({ signal }) => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-alone-'))
    const file = join(dir.path, 'windlass.yaml')
    await writeFile(file, 'apiVersion: windlass.dev/v1alpha1\nkind: WindlassConfiguration\nkeepPartials: true\n')
    const env = { WINDLASS_RUNTIME: 'none', WINDLASS_CONFIG: file }
    await (await startWindlass(dir.path, { signal, env }))[Symbol.asyncDispose]()
    await rm(join(dir.path, 'root/partials'), { recursive: true })
    await writeFile(join(dir.path, 'root/partials'), '')
    await using daemon = await startWindlass(dir.path, { signal, env })
    expect(daemon.daemon.output()).toContain('what came of layers cannot be kept for a restart')
    expect(await daemon.cri.image.listImages({}, { signal })).toMatchObject({ images: [] })
  })

  it.skipIf(hasRuntime)('says so where none is found', async ({ signal }) => {
    expect(await toldWith('auto', { signal })).toContain(
      `"msg":"no runtime's socket is there that a kubelet would use: images stay in /root"`,
    )
  })
})
