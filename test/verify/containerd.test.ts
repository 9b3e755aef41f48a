/** Verifying what was pulled into Debian's containerd. */
import { chmodSync, lstatSync, readdirSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
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

const outcomes = ({ verdicts }: Verified): (string | undefined)[] => verdicts.map((verdict) => verdict?.outcome)
const told = ({ verdicts }: Verified): string[] =>
  verdicts.flatMap((verdict) => verdict?.differences ?? []).map(({ kind, path }) => `${kind} ${path}`)

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
