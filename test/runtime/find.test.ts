import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { WindlassError } from '../../src/failure/failure.ts'
import { serviceDefinitions } from '../../src/rpc/proto.ts'
import { findRuntime, type Wanted } from '../../src/runtime/find.ts'
import { unbounded } from '../rpc/daemon.ts'
import { startForeign } from '../rpc/foreign.ts'

async function place() {
  const dir = await mkdtempDisposable(join(tmpdir(), 'windlass-find-'))
  onTestFinished(() => dir.remove())
  const at = (name: string): string => join(dir.path, name)
  const usual = [
    { kind: 'containerd', socket: at('containerd.sock') },
    { kind: 'crio', socket: at('crio.sock') },
  ] as const
  const own = at('windlass.sock')
  const find = (wanted: Wanted) => findRuntime(wanted, { own, usual, signal: unbounded })
  /** Somebody who answers Version with this name, or has no such method. */
  const answering = async (name: string, runtimeName?: string): Promise<string> => {
    const version = serviceDefinitions().runtime.Version
    if (version === undefined) throw new Error('no Version')
    const unary = {
      [version.path]: (_call: unknown, callback: (error: null, bytes: Buffer) => void) =>
        callback(null, version.responseSerialize({ runtimeName })),
    }
    const foreign = await startForeign(at(name), runtimeName === undefined ? {} : { unary })
    onTestFinished(() => foreign[Symbol.asyncDispose]())
    return foreign.path
  }
  /** What a runtime leaves that is being restarted. */
  const silent = (name: string): string => {
    writeFileSync(at(name), '')
    return at(name)
  }
  return { at, find, answering, silent, own }
}

it('is none where none is there, or wanted', async () => {
  const { find, silent } = await place()
  expect(await find({ kind: 'auto' })).toBeUndefined()
  silent('containerd.sock')
  expect(await find({ kind: 'none' })).toBeUndefined()
})

it('is the one whose socket is there, though nobody answers on it just now', async () => {
  const { find, silent } = await place()
  const crio = silent('crio.sock')
  expect(await find({ kind: 'auto' })).toEqual({ kind: 'crio', socket: crio })
  const containerd = silent('containerd.sock')
  expect(await find({ kind: 'auto' })).toEqual({ kind: 'containerd', socket: containerd })
})

it('is not the containerd of Docker, which has no CRI', async () => {
  const { find, answering, silent } = await place()
  await answering('containerd.sock')
  expect(await find({ kind: 'auto' })).toBeUndefined()
  const crio = silent('crio.sock')
  expect(await find({ kind: 'auto' })).toEqual({ kind: 'crio', socket: crio })
})

it('is looked for where its kind usually listens, there or not', async () => {
  const { find, at } = await place()
  expect(await find({ kind: 'containerd' })).toEqual({ kind: 'containerd', socket: at('containerd.sock') })
  expect(await find({ kind: 'crio' })).toEqual({ kind: 'crio', socket: at('crio.sock') })
})

it('at an endpoint says itself which it is, or the path does', async () => {
  const { find, answering, silent, at } = await place()
  for (const [name, says, kind] of [
    ['a.sock', 'cri-o', 'crio'],
    ['crio-not.sock', 'containerd', 'containerd'],
  ] as const) {
    const endpoint = await answering(name, says)
    expect(await find({ kind: 'auto', endpoint })).toEqual({ kind, socket: endpoint })
  }
  for (const [endpoint, kind] of [
    [silent('my-crio.sock'), 'crio'],
    [at('absent.sock'), 'containerd'],
  ] as const)
    expect(await find({ kind: 'auto', endpoint })).toEqual({ kind, socket: endpoint })
})

it('is what is said, where it is said', async () => {
  const { find, answering } = await place()
  const endpoint = await answering('x.sock', 'containerd')
  expect(await find({ kind: 'crio', endpoint })).toEqual({ kind: 'crio', socket: endpoint })
})

it('is not Windlass itself, by whatever path', async () => {
  const { find, at, own } = await place()
  mkdirSync(at('real'))
  symlinkSync('.', at('link'))
  for (const endpoint of [own, join(at('link'), 'windlass.sock')]) {
    const error = await find({ kind: 'containerd', endpoint }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(WindlassError)
    expect(error).toMatchObject({ failure: { kind: 'invalid-argument', what: 'runtime.endpoint' } })
  }
})
