/**
 * What extractors are made of, in the compile cache: they may read it and not write it. Loading it there takes 20 ms and leaves 10 MB in whoever
 * does it, so it is done once for each state of the files and each Node; a mark in the cache says for which it was.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What `extractor.ts` and the files it loads at need are made of. With too few of them the mark would outlive a change, and starts take longer. */
export const ROOMS = ['failure', 'oci', 'sys', 'task', 'unpack'] as const

/** The mark takes a block, as what it stands for does: a disk that had no room for the one has none for the other. */
const BLOCK = 4096

/** `cache` is the directory for this Node and its flags. Where no mark can be written, or the files cannot be looked at, it is done each time. */
export async function compileExtractors(cache: string): Promise<void> {
  const mark = join(cache, 'extractors')
  const state = attempt(fingerprint)
  if (state !== undefined && attempt(() => readFileSync(mark, 'latin1'))?.trimEnd() === state) return
  await Promise.all([
    import('./extractor.ts'),
    import('./inflating.ts'),
    import('./inflating-thread.ts'),
    import('./replay.ts'),
    import('./verify/examine.ts'),
  ])
  flushCompileCache()
  if (state !== undefined) write(mark, state.padEnd(BLOCK))
}

/** Whole or not at all: daemons of several versions may have one cache. */
function write(mark: string, text: string): void {
  const draft = `${mark}.${process.pid}`
  const written = attempt(() => {
    writeFileSync(draft, text)
    renameSync(draft, mark)
    return true
  })
  if (written !== true) attempt(() => rmSync(draft, { force: true }))
}

/** Of their text: releases give all their files one time. */
function fingerprint(): string {
  const hash = createHash('sha256')
  hash.update(readFileSync(new URL('../../package.json', import.meta.url)))
  for (const room of ROOMS) {
    const top = fileURLToPath(new URL(`../${room}`, import.meta.url))
    const sources = readdirSync(top, { recursive: true, encoding: 'utf8' }).filter((name) => /\.[jt]s$/.test(name))
    for (const name of sources.sort()) hash.update(`${room}/${name}\n`).update(readFileSync(join(top, name)))
  }
  return hash.digest('hex')
}

/** What is only here to make starts shorter fails nobody: an extractor that finds nothing in the cache compiles what it needs. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}
