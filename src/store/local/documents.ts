/** The images' documents as files, a directory for each image (containers/storage's big data). The database has the same bytes. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Digest, hexOf } from '../../oci/digest.ts'
import { bigDataFile, bigDataOf } from './entries.ts'
import type { Layout } from './layout.ts'
import type { ImageRecord } from './records.ts'

type Documented = Pick<ImageRecord, 'id' | 'manifest' | 'configBytes' | 'manifestBytes' | 'indexBytes'>

export const documentsDir = (at: Layout, image: Digest): string => join(at.images, hexOf(image))

/** Writes those that are not there as they must be; true if any was. Nothing is synced: that is for the caller to do. */
export function writeDocuments(at: Layout, image: Documented): boolean {
  const directory = documentsDir(at, image.id)
  const missing = bigDataOf(image)
    .map(({ key, bytes }) => ({ key, bytes, file: join(directory, bigDataFile(key)) }))
    .filter(({ key, bytes, file }) => !isThere(file, key, bytes))
  if (missing.length === 0) return false
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  for (const { bytes, file } of missing) {
    writeFileSync(`${file}.new`, bytes, { mode: 0o600 })
    renameSync(`${file}.new`, file)
  }
  return true
}

/** What is named by a digest was written once and is never another; an image's `manifest` may come to be. */
function isThere(file: string, key: string, bytes: Uint8Array): boolean {
  if (statSync(file, { throwIfNoEntry: false })?.size !== bytes.length) return false
  return key !== 'manifest' || readFileSync(file).equals(bytes)
}

/** Removes the files that are none of the image's documents, an earlier manifest's, say. */
export function dropOtherDocuments(at: Layout, image: Documented): void {
  const files = new Set(bigDataOf(image).map(({ key }) => bigDataFile(key)))
  const directory = documentsDir(at, image.id)
  for (const name of readdirSync(directory)) if (!files.has(name)) rmSync(join(directory, name), { recursive: true })
}

export const removeDocuments = (at: Layout, image: Digest): void =>
  rmSync(documentsDir(at, image), { recursive: true, force: true })

/** The directories with documents of images other than these. */
export function otherDocuments(at: Layout, images: Iterable<Digest>): readonly string[] {
  const kept = new Set([...images].map(hexOf))
  return readdirSync(at.images, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !kept.has(entry.name))
    .map(({ name }) => join(at.images, name))
}
