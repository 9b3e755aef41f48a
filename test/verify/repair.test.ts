/** Repairing what was pulled into Debian's containerd: images go and come again, or stay, whatever happens in between. */
import { appendFileSync, chmodSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { mountOverlay, unmount } from '../../src/sys/mount.ts'
import type { VerifyEvent } from '../../src/verify/verify.ts'
import { lacking } from '../integration/lacking.ts'
import { buildImage, buildLayer } from '../support/image.ts'
import { type Beside, platform, startBeside, type Verified } from './containerd.ts'

const base = buildLayer({
  tar: [
    { name: 'etc/', type: 'dir' },
    { name: 'etc/passwd', content: 'root:x:0:0\n' },
    { name: 'etc/group', content: 'root:x:0:\n' },
    { name: 'tmp/', type: 'dir', mode: 0o1777 },
  ],
})
const top = buildLayer({ tar: [{ name: 'etc/.wh.group' }, { name: 'tmp/kept', content: 'kept' }], compression: 'zstd' })
const app = buildImage({ platform, layers: [base, top] })
const extra = buildLayer({ tar: [{ name: 'child', content: 'child' }] })
const child = buildImage({ platform, layers: [base, top, extra] })
const other = buildImage({ platform, layers: [{ tar: [{ name: 'other', content: 'other' }] }] })

const outcomes = ({ verdicts }: Verified): (string | undefined)[] => verdicts.map((verdict) => verdict?.outcome)
const failures = (events: readonly VerifyEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'repair-failed' ? [`${event.image}: ${event.reason}`] : []))

/** Changes the base layer of an image. */
async function damage(node: Beside, name: string): Promise<void> {
  const [first] = await node.layers(name)
  chmodSync(join(first?.diff ?? '', 'etc/passwd'), 0o666)
}

/** Before the first call of this method once names go: views are removed before that, too. */
function once(node: Beside, method: string, act: () => unknown): { readonly happened: boolean } {
  const seen = { happened: false }
  let isGoing = false
  node.gate.before = async (call) => {
    isGoing ||= call.method === 'Images/Delete'
    if (call.method !== method || !isGoing || seen.happened) return
    seen.happened = true
    await act()
  }
  return seen
}

describe.skipIf(lacking('root', 'containerd'))('a repair in containerd', () => {
  it('brings the image of a damaged layer again, with all that stand on it and the names they had', async ({ signal }) => {
    await using node = await startBeside({ signal })
    const [one, two, three] = [
      await node.pull('app:1', app),
      await node.pull('child:1', child),
      await node.pull('other:1', other),
    ]
    await node.containerd.ctr(['images', 'tag', one, `${node.registry.host}/app:also`], { signal })
    const digest = (await node.store.find(one))?.digests[0] ?? ''
    for (const name of [one, digest])
      await node.containerd.ctr(['images', 'label', name, 'io.cri-containerd.pinned=pinned', 'mine=kept'], { signal })
    const records = async (): Promise<string[]> =>
      (await node.containerd.ctr(['images', 'ls', '-q'], { signal })).trim().split('\n').toSorted()
    const before = await records()
    const [first] = await node.layers(one)
    appendFileSync(join(first?.diff ?? '', 'etc/passwd'), 'evil:x:0:0\n')
    // The tag is another image by now: what was damaged comes again all the same.
    const moved = buildImage({ platform, layers: [{ tar: [{ name: 'moved', content: 'moved' }] }] })
    await node.pull('unrelated:1', moved)
    const repaired = await node.verify([one], { repair: true })
    expect(failures(repaired.events)).toEqual([])
    expect(outcomes(repaired)).toEqual(['sound', 'sound'])
    expect(outcomes(await node.verify())).toEqual(['sound', 'sound', 'sound', 'sound', 'sound'])
    expect((await records()).filter((name) => !/unrelated|^sha256:/.test(name))).toEqual(
      before.filter((name) => !name.startsWith('sha256:')),
    )
    expect((await node.store.find(two))?.id).toBe(child.id)
    const listed = (await node.containerd.ctr(['images', 'ls'], { signal })).split('\n')
    for (const name of [one, digest])
      expect(listed.find((line) => line.startsWith(`${name} `))).toMatch(/io\.cri-containerd\.pinned=pinned,mine=kept/)
    expect(readFileSync(join((await node.layers(one))[0]?.diff ?? '', 'etc/passwd'), 'utf8')).toBe('root:x:0:0\n')
    // Asked for by each of the two before anything went, and fetched once.
    expect(node.registry.blobGets(base.descriptor.digest)).toBe(1 + 2 + 1)
    // What does not stand on it has stayed.
    expect((await node.store.find(three))?.id).toBe(other.id)
    await node.collectNow()
    const { image } = await node.containerd.cri.image.imageStatus({ image: { image: one } }, { signal })
    expect(image?.repoTags.toSorted()).toEqual([one, `${node.registry.host}/app:also`].toSorted())
    expect(outcomes(await node.verify())).toEqual(['sound', 'sound', 'sound', 'sound', 'sound'])
  })

  it.each(['a container’s snapshot', 'a mount'] as const)('touches nothing while %s stands on it', async (what) => {
    const { signal } = new AbortController()
    await using node = await startBeside({ signal })
    const name = await node.pull('app:1', app)
    const [first, second] = await node.layers(name)
    const target = join(node.root, 'mounted')
    const snapshot = what !== 'a mount'
    if (snapshot) await node.containerd.ctr(['snapshots', 'prepare', 'c1', `sha256:${second?.id}`], { signal })
    else {
      mkdirSync(target)
      mountOverlay({ target, base: node.store.overlayDir, lower: [second?.short ?? '', first?.short ?? ''] })
    }
    try {
      chmodSync(join(first?.diff ?? '', 'etc/passwd'), 0o666)
      const refused = await node.verify([], { repair: true })
      expect(outcomes(refused)).toEqual(['damaged', 'sound'])
      expect(failures(refused.events)).toEqual([
        expect.stringMatching(
          snapshot ? /containers stand on it \(c1\); nothing was changed/ : /while it is mounted \(.*mounted\)/,
        ),
      ])
      expect((await node.store.find(name))?.tags).toEqual([name])
      // Asked for, and not fetched.
      expect(node.registry.blobGets(base.descriptor.digest)).toBe(1 + 1)
    } finally {
      if (!snapshot) unmount(target)
    }
    if (snapshot) await node.containerd.ctr(['snapshots', 'rm', 'c1'], { signal })
    expect(outcomes(await node.verify([], { repair: true }))).toEqual(['sound', 'sound'])
  })

  it('removes nothing that the registry would not give again', async ({ signal }) => {
    await using node = await startBeside({ signal })
    const name = await node.pull('app:1', app)
    const [first] = await node.layers(name)
    chmodSync(join(first?.diff ?? '', 'etc/passwd'), 0o666)
    await node.registry[Symbol.asyncDispose]()
    const refused = await node.verify([], { repair: true })
    expect(outcomes(refused)).toEqual(['damaged', 'sound'])
    expect(failures(refused.events)).toEqual([
      expect.stringMatching(/nothing was removed: .* could not be pulled again: .*refused/),
    ])
    expect((await node.store.find(name))?.tags).toEqual([name])
  })

  it('during which containerd dies gives the image its names back', async ({ signal }) => {
    await using node = await startBeside({ signal })
    const name = await node.pull('app:1', app)
    const [first] = await node.layers(name)
    chmodSync(join(first?.diff ?? '', 'etc/passwd'), 0o666)
    let crash: Promise<void> | undefined
    once(node, 'Snapshots/Remove', () => {
      crash = node.containerd.crash({ signal })
      return crash
    })
    const failed = await node.verify([], { repair: true })
    await crash
    expect(failures(failed.events)).toEqual([expect.stringMatching(/containerd does not answer/)])
    expect((await node.store.find(name))?.tags).toEqual([name])
    expect(outcomes(await node.verify([], { repair: true }))).toEqual(['sound', 'sound'])
  })

  it('goes on, once the image is away, though whoever asked leaves', async ({ signal }) => {
    await using node = await startBeside({ signal })
    const name = await node.pull('app:1', app)
    const [first] = await node.layers(name)
    chmodSync(join(first?.diff ?? '', 'etc/passwd'), 0o666)
    const [asked, until, leaving] = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), new AbortController()]
    node.registry.fault = ({ path }) => {
      // Before anything goes it is only asked for.
      if (!path.endsWith(base.descriptor.digest) || node.registry.blobGets(base.descriptor.digest) < 3) return undefined
      asked.resolve()
      return { kind: 'stall', afterBytes: 10, until: until.promise }
    }
    const repairing = node.verify([], { repair: true, signal: leaving.signal })
    await asked.promise
    leaving.abort(new Error('enough'))
    expect(await node.store.find(name)).toBeUndefined()
    until.resolve()
    await expect(repairing).rejects.toThrow(/enough/)
    expect((await node.store.find(name))?.tags).toEqual([name])
    expect(outcomes(await node.verify())).toEqual(['sound', 'sound'])
  })

  it('that a container gets ahead of gives the image its names back', async ({ signal }) => {
    await using node = await startBeside({ signal })
    const name = await node.pull('app:1', app)
    const [first, second] = await node.layers(name)
    chmodSync(join(first?.diff ?? '', 'etc/passwd'), 0o666)
    let isIn = false
    node.gate.before = async ({ method }) => {
      if (method !== 'Images/Delete' || isIn) return
      isIn = true
      await node.containerd.ctr(['snapshots', 'prepare', 'c1', `sha256:${second?.id}`], { signal })
    }
    const refused = await node.verify([], { repair: true })
    expect(isIn).toBe(true)
    expect(failures(refused.events)).toEqual([expect.stringMatching(/containers stand on it \(something new on sha256:/)])
    expect((await node.store.find(name))?.tags).toEqual([name])
    expect(outcomes(refused)).toEqual(['damaged', 'sound'])
    await node.containerd.ctr(['snapshots', 'rm', 'c1'], { signal })
    expect(outcomes(await node.verify([], { repair: true }))).toEqual(['sound', 'sound'])
  })
})

describe.skipIf(lacking('root', 'containerd'))('a repair in containerd that is disturbed', () => {
  it('pulls again what had gone when a container got ahead on a lower image, and says so', async ({ signal }) => {
    await using node = await startBeside({ signal })
    const [one, two] = [await node.pull('app:1', app), await node.pull('child:1', child)]
    const [, second] = await node.layers(one)
    await damage(node, one)
    const seen = once(node, 'Images/Delete', () =>
      node.containerd.ctr(['snapshots', 'prepare', 'c1', `sha256:${second?.id}`], { signal }),
    )
    const refused = await node.verify([], { repair: true })
    expect(seen.happened).toBe(true)
    expect(failures(refused.events)).toEqual(
      [one, two].map((name) => expect.stringMatching(`^${name}: .*containers stand on it .*; ${two} had been removed by then`)),
    )
    expect((await node.store.find(one))?.tags).toEqual([one])
    expect((await node.store.find(two))?.tags).toEqual([two])
    expect(node.registry.blobGets(extra.descriptor.digest)).toBeGreaterThan(1)
    await node.containerd.ctr(['snapshots', 'rm', 'c1'], { signal })
    expect(outcomes(await node.verify([], { repair: true }))).toEqual(['sound', 'sound', 'sound'])
  })

  it.each([
    ['a blob of the damaged layer', () => base.descriptor.digest],
    ['a blob above it', () => extra.descriptor.digest],
    ['the config', () => child.id],
  ] as const)('removes nothing where the registry has the manifest and not %s', async (_, digest) => {
    const { signal } = new AbortController()
    await using node = await startBeside({ signal })
    const [one, two] = [await node.pull('app:1', app), await node.pull('child:1', child)]
    await damage(node, one)
    node.registry.fault = ({ path }) =>
      path.endsWith(`/blobs/${digest()}`) ? { kind: 'status', status: 404, code: 'BLOB_UNKNOWN' } : undefined
    const refused = await node.verify([], { repair: true })
    expect(failures(refused.events)).toEqual([one, two].map((name) => expect.stringContaining(`${name}: nothing was removed: `)))
    for (const name of [one, two]) expect((await node.store.find(name))?.tags).toEqual([name])
    expect(outcomes(refused)[0]).toBe('damaged')
  })

  it('keeps a pull of what it takes away waiting, which then has the image', async ({ signal }) => {
    await using node = await startBeside({ signal })
    const one = await node.pull('app:1', app)
    await damage(node, one)
    let pulling: Promise<string> | undefined
    const seen = once(node, 'Snapshots/Remove', () => {
      pulling = node.pull('app:2', app)
    })
    const repaired = await node.verify([], { repair: true })
    expect(seen.happened).toBe(true)
    expect(failures(repaired.events)).toEqual([])
    const two = (await pulling) ?? ''
    await node.collectNow()
    expect((await node.store.find(two))?.tags.toSorted()).toEqual([one, two].toSorted())
    expect((await node.containerd.cri.image.imageStatus({ image: { image: two } }, { signal })).image?.id).toBe(app.id)
    expect(outcomes(await node.verify())).toEqual(['sound', 'sound'])
  })

  it('waits for a pull in flight that counts on the damaged layer, and repairs what that has landed', async ({ signal }) => {
    await using node = await startBeside({ signal })
    const one = await node.pull('app:1', app)
    await damage(node, one)
    const [asked, until] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    let isFirst = true
    node.registry.fault = ({ path }) => {
      if (!path.endsWith(extra.descriptor.digest) || !isFirst) return undefined
      isFirst = false
      asked.resolve()
      return { kind: 'stall', afterBytes: 10, until: until.promise }
    }
    const pulling = node.pull('child:1', child)
    await asked.promise
    const deleted: string[] = []
    node.gate.before = ({ method }) => void (method === 'Images/Delete' && deleted.push(method))
    const repairing = node.verify([one], { repair: true })
    // The repair has asked the registry for everything, and goes no further.
    await expect.poll(() => node.registry.blobGets(base.descriptor.digest), { timeout: 20_000 }).toBe(2)
    await expect.poll(async () => (await node.containerd.ctr(['images', 'ls', '-q'], { signal })).includes(one)).toBe(true)
    expect(deleted).toEqual([])
    until.resolve()
    const two = await pulling
    expect(failures((await repairing).events)).toEqual([])
    expect((await node.store.find(two))?.tags).toEqual([two])
    expect(outcomes(await node.verify())).toEqual(['sound', 'sound', 'sound'])
  })

  it('takes away what somebody names meanwhile, too, and gives that back', async ({ signal }) => {
    await using node = await startBeside({ signal })
    const one = await node.pull('app:1', app)
    const also = `${node.registry.host}/app:also`
    await damage(node, one)
    const seen = once(node, 'Images/Delete', () => node.containerd.ctr(['images', 'tag', one, also], { signal }))
    const repaired = await node.verify([], { repair: true })
    expect(seen.happened).toBe(true)
    expect(failures(repaired.events)).toEqual([])
    expect((await node.store.find(one))?.tags.toSorted()).toEqual([one, also].toSorted())
    expect(outcomes(await node.verify())).toEqual(['sound', 'sound'])
  })

  it.each([
    ['while snapshots go', 'Snapshots/Remove'],
    ['while names go', 'Images/Delete'],
  ] as const)('is finished by the next start where the daemon is told to stop %s', async (_, method) => {
    const { signal } = new AbortController()
    await using node = await startBeside({ signal })
    const [one, two] = [await node.pull('app:1', app), await node.pull('child:1', child)]
    await damage(node, one)
    let closed: Promise<void> | undefined
    once(node, method, () => {
      closed = node.puller.close()
    })
    const stopped = await node.verify([], { repair: true })
    await closed
    expect(failures(stopped.events)).toHaveLength(2)
    expect(await node.store.find(one)).toBeUndefined()
    await node.restart()
    await node.finishRepairs()
    for (const name of [one, two]) expect((await node.store.find(name))?.tags).toEqual([name])
    await node.collectNow()
    expect(outcomes(await node.verify())).toEqual(['sound', 'sound', 'sound'])
    // Nothing is left to do.
    const gets = node.registry.blobGets(base.descriptor.digest)
    await node.restart()
    await node.finishRepairs()
    expect(node.registry.blobGets(base.descriptor.digest)).toBe(gets)
  })

  it('that is cut off between the names and the layers has the names back at the next start', async ({ signal }) => {
    await using node = await startBeside({ signal })
    const one = await node.pull('app:1', app)
    await damage(node, one)
    const closed = Promise.withResolvers<void>()
    once(node, 'Snapshots/Remove', async () => {
      // As a kill does: nobody undoes anything.
      await node.store[Symbol.asyncDispose]()
      closed.resolve()
      throw new Error('the call does not arrive')
    })
    const cut = await node.verify([], { repair: true }).catch((error: unknown) => String(error))
    await closed.promise
    expect(cut).toBeDefined()
    node.gate.before = () => {}
    await node.restart()
    expect((await node.store.find(one))?.tags).toEqual([one])
    expect(outcomes(await node.verify([], { repair: true }))).toEqual(['sound', 'sound'])
  })

  it('does not begin once the daemon is told to stop', async ({ signal }) => {
    await using node = await startBeside({ signal })
    const one = await node.pull('app:1', app)
    await damage(node, one)
    await node.puller.close()
    const refused = await node.verify([], { repair: true })
    expect(failures(refused.events)).toEqual([expect.stringMatching(/nothing was removed: .*shutting down/)])
    expect((await node.store.find(one))?.tags).toEqual([one])
  })

  it('does not begin either where the daemon is told to stop while a pull is waited for', async ({ signal }) => {
    await using node = await startBeside({ signal })
    const one = await node.pull('app:1', app)
    await damage(node, one)
    const [asked, until] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    node.registry.fault = ({ path }) => {
      if (!path.endsWith(extra.descriptor.digest)) return undefined
      asked.resolve()
      return { kind: 'stall', afterBytes: 10, until: until.promise }
    }
    const pulling = node.pull('child:1', child).catch((error: unknown) => String(error))
    await asked.promise
    const repairing = node.verify([one], { repair: true })
    await expect.poll(() => node.registry.blobGets(base.descriptor.digest), { timeout: 20_000 }).toBe(2)
    node.store.stopping?.()
    await node.puller.close()
    until.resolve()
    expect(await pulling).toMatch(/shutting down/)
    expect(failures((await repairing).events)).toEqual([expect.stringMatching(/shutting down/)])
    await node.restart()
    expect((await node.store.find(one))?.tags).toEqual([one])
  })

  it('keeps who had pulled the image', async ({ signal }) => {
    await using node = await startBeside({ signal })
    const one = await node.pull('app:1', app)
    const before = await node.store.find(one)
    const receipt = { identity: 'somebody', name: before?.digests[0] ?? '', host: node.registry.host, at: new Date() }
    node.store.receipts.note(app.id, receipt)
    await damage(node, one)
    expect(failures((await node.verify([], { repair: true })).events)).toEqual([])
    const after = await node.store.find(one)
    if (after === undefined) throw new Error('the image has come again')
    expect((await node.store.receipts.of(after)).receipts).toEqual([receipt])
    // And what comes after that is added to it.
    const later = { ...receipt, identity: 'another', at: new Date() }
    node.store.receipts.note(app.id, later)
    expect((await node.store.receipts.of(after)).receipts).toEqual([later, receipt])
  })
})
