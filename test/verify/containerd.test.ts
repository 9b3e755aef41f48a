/** Verifying and repairing what was pulled into Debian's containerd. */
import {
  appendFileSync,
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { mountOverlay, unmount } from '../../src/sys/mount.ts'
import type { VerifyEvent } from '../../src/verify/verify.ts'
import { lacking } from '../integration/lacking.ts'
import { nastyImage } from '../integration/nasty.ts'
import { buildImage, buildLayer } from '../support/image.ts'
import { platform, startBeside, type Verified } from './containerd.ts'

const base = buildLayer({
  tar: [
    { name: 'etc/', type: 'dir' },
    { name: 'etc/passwd', content: 'root:x:0:0\n' },
    { name: 'etc/shadow', content: 'root:*\n', mode: 0o640 },
    { name: 'etc/group', content: 'root:x:0:\n' },
    { name: 'bin/', type: 'dir' },
    { name: 'bin/su', content: 'su', mode: 0o4755 },
    { name: 'tmp/', type: 'dir', mode: 0o1777 },
  ],
})
const top = buildLayer({ tar: [{ name: 'etc/.wh.group' }, { name: 'tmp/kept', content: 'kept' }], compression: 'zstd' })
const app = buildImage({ platform, layers: [base, top] })
const child = buildImage({ platform, layers: [base, top, { tar: [{ name: 'child', content: 'child' }] }] })
const other = buildImage({ platform, layers: [{ tar: [{ name: 'other', content: 'other' }] }] })

const outcomes = ({ verdicts }: Verified): (string | undefined)[] => verdicts.map((verdict) => verdict?.outcome)
const told = ({ verdicts }: Verified): string[] =>
  verdicts.flatMap((verdict) => verdict?.differences ?? []).map(({ kind, path }) => `${kind} ${path}`)
const failures = (events: readonly VerifyEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'repair-failed' ? [`${event.image}: ${event.reason}`] : []))

describe.skipIf(lacking('root', 'containerd'))('an image in containerd', () => {
  it('is sound as it was pulled; every change to its snapshots is named', async ({ signal }) => {
    await using node = await startBeside({ signal })
    const name = await node.pull('app:1', app)
    const sound = await node.verify([name])
    expect(sound.verdicts).toMatchObject([
      { outcome: 'sound', digest: 'equal' },
      { outcome: 'sound', digest: 'equal' },
    ])
    const nasty = await node.verify([await node.pull('nasty:1', nastyImage())])
    expect(new Set(outcomes(nasty))).toEqual(new Set(['sound']))
    expect(readdirSync(node.store.stagingDir)).toEqual([])
    const [first, second] = await node.layers(name)
    const at = (path: string): string => join(first?.diff ?? '', path)
    const { mtime, atime } = lstatSync(at('etc/passwd'))
    writeFileSync(at('etc/passwd'), 'ROOT:x:0:0\n')
    utimesSync(at('etc/passwd'), atime, mtime)
    truncateSync(at('etc/shadow'), 3)
    const etc = lstatSync(at('etc'))
    rmSync(at('etc/group'))
    utimesSync(at('etc'), etc.atime, etc.mtime)
    chmodSync(at('bin/su'), 0o755)
    writeFileSync(at('added'), '')
    rmSync(join(second?.diff ?? '', 'tmp/kept'))
    // The tar leaves it out: it has the attributes of the one below.
    chmodSync(join(second?.diff ?? '', 'tmp'), 0o700)
    const damaged = await node.verify([name])
    expect(outcomes(damaged)).toEqual(['damaged', 'damaged'])
    expect(told(damaged).toSorted()).toEqual(
      [
        ...['content etc/passwd', 'size etc/shadow', 'mtime etc/shadow', 'missing etc/group', 'mode bin/su', 'added added'],
        ...['missing tmp/kept', 'mode tmp'],
      ].toSorted(),
    )
    expect(readdirSync(node.store.stagingDir)).toEqual([])
    // Nothing is remembered, nothing was changed.
    expect(lstatSync(at('added')).size).toBe(0)
    expect((await node.layers(name)).map(({ damage }) => damage)).toEqual([undefined, undefined])
  })

  it('of which containerd unpacked layers itself is verified as far as Windlass unpacked it', async ({ signal }) => {
    await using node = await startBeside({ signal })
    const theirs = await node.pullByContainerd('app:1', app)
    const verified = await node.verify([theirs])
    expect(verified.verdicts).toMatchObject([
      { outcome: 'unverifiable', reason: 'unpacked by containerd', differences: [] },
      { outcome: 'unverifiable', reason: 'unpacked by containerd' },
    ])
    await node.pull('child:1', child)
    expect(outcomes(await node.verify())).toEqual(['unverifiable', 'unverifiable', 'sound'])
  })

  it('without its tar-split, or with a damaged one, is unverifiable and not damaged', async ({ signal }) => {
    await using node = await startBeside({ signal })
    const name = await node.pull('app:1', app)
    const [first, second] = await node.layers(name)
    rmSync(first?.tarSplit ?? '')
    writeFileSync(second?.tarSplit ?? '', 'no gzip')
    expect((await node.verify()).verdicts).toMatchObject([
      { outcome: 'unverifiable', reason: 'its tar-split is not kept here' },
      { outcome: 'unverifiable', reason: expect.stringContaining('its tar-split file is damaged') },
    ])
  })

  it('that has lost a snapshot is not called sound', async ({ signal }) => {
    await using node = await startBeside({ signal })
    const name = await node.pull('app:1', app)
    const [first] = await node.layers(name)
    const tree = first?.diff ?? ''
    renameSync(tree, `${tree}-away`)
    expect((await node.verify()).verdicts[0]).toMatchObject({ outcome: 'damaged', differences: [{ path: '.', kind: 'missing' }] })
    renameSync(`${tree}-away`, tree)
    const image = await node.store.find(name)
    await node.containerd.ctr(['snapshots', 'rm', `sha256:${image?.layerIds[1]}`], { signal })
    expect((await node.verify()).verdicts[1]).toMatchObject({
      outcome: 'unknown',
      reason: 'it is not here; pull its image again',
    })
  })
})

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
    expect(node.registry.blobGets(base.descriptor.digest)).toBe(2)
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
      expect(node.registry.blobGets(base.descriptor.digest)).toBe(1)
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
    node.gate.before = ({ method }) => {
      if (method !== 'Snapshots/Remove' || crash !== undefined) return
      crash = node.containerd.crash({ signal })
      return crash
    }
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
      if (!path.endsWith(base.descriptor.digest)) return undefined
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
