/** Names that are given and taken back, in a containerd where others give names too. */
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WindlassError } from '../../../src/failure/failure.ts'
import { sha256 } from '../../../src/oci/digest.ts'
import { mediaTypes } from '../../../src/oci/oci.ts'
import { Daemon } from '../../../src/store/containerd/daemon.ts'
import { Leases } from '../../../src/store/containerd/leases.ts'
import { type GivenName, Names } from '../../../src/store/containerd/naming.ts'
import { startContainerd } from '../../integration/containerd.ts'
import { lacking } from '../../integration/lacking.ts'
import { recordingLog } from '../local/place.ts'

const { signal } = new AbortController()
const targetOf = (text: string) => ({ mediaType: mediaTypes.ociManifest, digest: sha256(text), size: text.length })

describe.skipIf(lacking('root', 'containerd'))('a name', () => {
  const open = new AsyncDisposableStack()
  let daemon: Daemon
  let leases: Leases
  beforeAll(async () => {
    const { path } = open.use(await mkdtempDisposable(join(tmpdir(), 'windlass-naming-')))
    daemon = open.use(new Daemon(open.use(await startContainerd(path, { signal })).socket))
    leases = new Leases(daemon, 'abc', recordingLog())
  })
  afterAll(() => open.disposeAsync())

  let made = 0
  const newName = (): string => `r.example/test/app:${made++}`
  const create = (name: string, text: string, labels: Readonly<Record<string, string>>): Promise<unknown> =>
    daemon.call('create', (c, options) => c.images.create({ image: { name, target: targetOf(text), labels } }, options))
  const remove = (name: string): Promise<unknown> =>
    daemon.call('delete', (c, options) => c.images.delete({ name, sync: false }, options))
  const give = async (names: Names, name: string, text: string): Promise<GivenName> => {
    await using lease = await leases.create()
    return await names.give({ name, target: targetOf(text), labels: { of: text } }, lease)
  }
  /** What the record says, as text and labels. */
  const found = async (names: Names, name: string): Promise<unknown> => {
    const record = await names.find(name)
    const text = ['theirs', 'A', 'B', 'C'].find((each) => targetOf(each).digest === record?.target?.digest)
    return record === undefined ? undefined : { text, labels: record.labels }
  }
  const theirs = { text: 'theirs', labels: { mine: '1', of: 'theirs' } }
  const ours = (text: string, more = {}) => ({ text, labels: { ...more, of: text } })

  test.each([
    ['A is taken back', ['+A', '-A'], undefined],
    ['B, over A, is taken back', ['+A', '+B', '-B'], 'A'],
    ['both, the last one first', ['+A', '+B', '-B', '-A'], undefined],
    ['both, the first one first', ['+A', '+B', '-A', '-B'], undefined],
    ['A, with B over it', ['+A', '+B', '-A'], 'B'],
    ['A, after B was kept', ['+A', '+B', '!B', '-A'], 'B'],
    ['B, after A was kept', ['+A', '+B', '!A', '-B'], 'A'],
    ['A alone, and B is kept', ['+A', '+B', '-A', '!B'], 'B'],
    ['the two around one that is kept', ['+A', '+B', '+C', '!B', '-A', '-C'], 'B'],
    ['all three, from the middle', ['+A', '+B', '+C', '-B', '-C', '-A'], undefined],
  ])('%s: it is where it belongs', async (_, steps, left) => {
    for (const before of [undefined, theirs]) {
      const [names, name, given] = [new Names(daemon), newName(), new Map<string, GivenName>()]
      if (before !== undefined) await create(name, before.text, before.labels)
      for (const [act, text = ''] of steps) {
        if (act === '+') given.set(text, await give(names, name, text))
        else if (act === '!') given.get(text)?.keep()
        else await given.get(text)?.[Symbol.asyncDispose]()
      }
      const more = before === undefined ? {} : { mine: '1' }
      expect(await found(names, name)).toEqual(left === undefined ? before : ours(left, more))
    }
  })

  test('that somebody has given to the same image meanwhile stays', async () => {
    const [names, name] = [new Names(daemon), newName()]
    const given = await give(names, name, 'A')
    await remove(name)
    await create(name, 'A', { theirs: '1' })
    await given[Symbol.asyncDispose]()
    expect(await found(names, name)).toEqual({ text: 'A', labels: { theirs: '1' } })
  })

  test('that somebody has labelled meanwhile stays, and so does one that was removed', async () => {
    const [names, name, gone] = [new Names(daemon), newName(), newName()]
    await create(name, theirs.text, theirs.labels)
    const given = [await give(names, name, 'A'), await give(names, gone, 'A')]
    // With its target, without which containerd 2.1 ends in a panic.
    const image = { name, target: targetOf('A'), labels: { new: '1' } }
    await daemon.call('label', (c, options) => c.images.update({ image, updateMask: { paths: ['labels.new'] } }, options))
    await remove(gone)
    for (const each of given) await each[Symbol.asyncDispose]()
    expect(await found(names, name)).toEqual({ text: 'A', labels: { mine: '1', of: 'A', new: '1' } })
    expect(await found(names, gone)).toBeUndefined()
  })

  const lost = new WindlassError({
    kind: 'runtime-down',
    runtime: 'containerd',
    socket: '/s',
    reason: 'it went away during the call',
  })
  test.each([
    ['is done', true],
    ['is not done', false],
  ])('whose answer is lost is given, and can be taken back, where it %s', async (_, isDone) => {
    for (const before of [undefined, theirs]) {
      const name = newName()
      if (before !== undefined) await create(name, before.text, before.labels)
      let losing = true
      const names = new Names({
        call: (operation, make, lease) => daemon.call(operation, make, lease),
        undo: (work) => daemon.undo(work),
        callUnless: async (code, operation, make, lease) => {
          if (!losing) return await daemon.callUnless(code, operation, make, lease)
          losing = false
          if (isDone) await daemon.callUnless(code, operation, make, lease)
          throw lost
        },
      })
      if (isDone) {
        const given = await give(names, name, 'A')
        expect(await found(names, name)).toEqual(ours('A', before === undefined ? {} : { mine: '1' }))
        await given[Symbol.asyncDispose]()
      } else await expect(give(names, name, 'A')).rejects.toBe(lost)
      expect(await found(names, name)).toEqual(before)
    }
  })

  test('that we have labelled meanwhile is still ours to take back', async () => {
    for (const before of [undefined, theirs]) {
      const [names, name] = [new Names(daemon), newName()]
      if (before !== undefined) await create(name, before.text, before.labels)
      const given = await give(names, name, 'A')
      expect(await names.label(name, { of: '', new: '1' })).toBe(true)
      const mine = before === undefined ? {} : { mine: '1' }
      expect(await found(names, name)).toEqual({ text: 'A', labels: { ...mine, new: '1' } })
      await given[Symbol.asyncDispose]()
      expect(await found(names, name)).toEqual(before)
      if (before === undefined) expect(await names.label(name, { new: '1' })).toBe(false)
    }
  })
})
