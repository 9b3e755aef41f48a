import { writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseDigest, sha256 } from '../../../src/oci/digest.ts'
import { layerIdsOf } from '../../../src/store/containerd/names.ts'
import { type Withdrawal, Withdrawals } from '../../../src/store/containerd/withdrawals.ts'
import { diffIdOf } from '../fixtures.ts'
import { recordingLog } from '../local/place.ts'

const DAY_MS = 24 * 3_600_000

function withdrawal(name: string, at = new Date()): Withdrawal {
  const target = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: sha256(`manifest of ${name}`), size: 7 }
  const digests = [`r.test/${name}@${target.digest}`]
  const platform = { os: 'linux', architecture: 'arm64', variant: 'v8' }
  const image = { id: sha256(name), tags: [`r.test/${name}:1`], digests, layerIds: layerIdsOf([diffIdOf(name)]), platform }
  const receipts = { receipts: [{ identity: 'somebody', name: digests[0] ?? '', host: 'r.test', at }], since: at }
  return { image, records: [{ name: `r.test/${name}:1`, target, labels: { mine: '1' } }], receipts, at }
}

test('what was taken away is known to the next start, whole, and what has come again is not', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-withdrawn-'))
  const log = recordingLog()
  const [one, two] = [withdrawal('one'), withdrawal('two')]
  const before = await Withdrawals.open(dir.path, log)
  await Promise.all([before.add([one]), before.add([two])])
  const after = await Withdrawals.open(dir.path, log)
  expect(after.all()).toEqual([one, two])
  await after.remove([one.image.id])
  expect((await Withdrawals.open(dir.path, log)).all()).toEqual([two])
  await after.remove([two.image.id, parseDigest(one.image.id)])
  expect((await Withdrawals.open(dir.path, log)).all()).toEqual([])
  expect(log.lines).toEqual([])
})

test('names that are added later do not replace those that went first', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-withdrawn-'))
  const one = withdrawal('one')
  const [record] = one.records
  if (record === undefined) throw new Error('it has a name')
  const withdrawals = await Withdrawals.open(dir.path, recordingLog())
  await withdrawals.add([one])
  const late = { ...record, name: 'r.test/one:2' }
  await withdrawals.add([{ ...one, image: { ...one.image, tags: [late.name], digests: [] }, records: [late] }])
  const [both] = withdrawals.all()
  expect(both?.image).toEqual({ ...one.image, tags: ['r.test/one:1', 'r.test/one:2'] })
  expect(both?.records).toEqual([record, late])
})

test('what nobody has missed for a week, and what cannot be read, is told and given up', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-withdrawn-'))
  const log = recordingLog()
  const recent = withdrawal('recent', new Date(Date.now() - 6 * DAY_MS))
  await (await Withdrawals.open(dir.path, log)).add([withdrawal('old', new Date(Date.now() - 8 * DAY_MS)), recent])
  expect((await Withdrawals.open(dir.path, log)).all()).toEqual([recent])
  expect(log.lines).toMatchObject([{ level: 'warn', message: expect.stringContaining('a week ago') }])
  writeFileSync(join(dir.path, 'withdrawn.json'), '[{"image":')
  expect((await Withdrawals.open(dir.path, log)).all()).toEqual([])
  expect(log.lines.at(-1)).toMatchObject({ level: 'warn', message: expect.stringContaining('cannot be read') })
})
