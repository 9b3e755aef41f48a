import { mkdirSync, mkdtempDisposableSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { sha256 } from '../../../src/oci/digest.ts'
import { ReceiptFiles } from '../../../src/store/containerd/receipts.ts'
import { recordingLog } from '../local/place.ts'

const id = sha256('an image')
const receipt = { identity: 'a', name: 'r.example/app@sha256:1', host: 'r.example', at: new Date() }

test('what is older than the image’s record is of an earlier one; what was torn counts as lost', async () => {
  using dir = mkdtempDisposableSync(join(tmpdir(), 'windlass-receipts-'))
  const at = join(dir.path, 'receipts')
  await using files = new ReceiptFiles(at, recordingLog())
  const pulledAt = new Date()
  files.published({ id, pulledAt }, pulledAt, receipt)
  expect(await files.of({ id, pulledAt })).toMatchObject({ receipts: [{ identity: 'a' }], since: pulledAt })
  expect(await files.of({ id, pulledAt: new Date(Date.now() + 60_000) })).toEqual({ receipts: [] })
  writeFileSync(join(at, readdirSync(at)[0] ?? ''), '')
  expect(await files.of({ id, pulledAt })).toEqual({ receipts: [] })
})

test('a receipt that cannot be written is logged, and no more than that', async () => {
  using dir = mkdtempDisposableSync(join(tmpdir(), 'windlass-receipts-'))
  const log = recordingLog()
  writeFileSync(join(dir.path, 'receipts'), 'in the way')
  await using files = new ReceiptFiles(join(dir.path, 'receipts'), log)
  files.note(id, receipt)
  await expect(files.of({ id, pulledAt: new Date(0) })).rejects.toMatchObject({ failure: { kind: 'system', code: 'ENOTDIR' } })
  expect(log.lines.map(({ message }) => message)).toEqual(['who pulled this image could not be written down'])
})

test('of too many files the oldest go', async () => {
  using dir = mkdtempDisposableSync(join(tmpdir(), 'windlass-receipts-'))
  const at = join(dir.path, 'receipts')
  mkdirSync(at)
  for (const age of [1, 2, 3]) {
    writeFileSync(join(at, `${age}.json`), '')
    utimesSync(join(at, `${age}.json`), 1_000 - age, 1_000 - age)
  }
  await using files = new ReceiptFiles(at, recordingLog())
  await files.trim(2)
  expect(readdirSync(at).toSorted()).toEqual(['1.json', '2.json'])
})
