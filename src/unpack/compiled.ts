/**
 * What extractors are made of, in the compile cache: they may read it and not write it. Loading it there takes 20 ms and leaves 10 MB in whoever
 * does it, so it is done once for each state of the files and each Node; a mark in the cache says that it was.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What `extractor.ts` and the files it loads at need are made of. With too few of them the mark would outlive a change, and starts take longer. */
export const ROOMS = ['failure', 'oci', 'sys', 'task', 'unpack'] as const

/** `cache` is the directory for this Node and its flags. Where no mark can be written, it is done each time. */
export async function compileExtractors(cache: string): Promise<void> {
  const mark = join(cache, `extractors-${fingerprint()}`)
  if (existsSync(mark)) return
  await Promise.all([import('./extractor.ts'), import('./inflating.ts'), import('./inflating-thread.ts')])
  flushCompileCache()
  try {
    writeFileSync(mark, '')
  } catch {
    // Then the cache itself is not to be written either, which Node does not mind.
  }
}

function fingerprint(): string {
  const hash = createHash('sha256')
  for (const room of ROOMS) {
    const top = fileURLToPath(new URL(`../${room}`, import.meta.url))
    for (const name of readdirSync(top, { recursive: true, encoding: 'utf8' }).sort()) {
      const { size, mtimeMs } = statSync(join(top, name))
      hash.update(`${room}/${name} ${size} ${mtimeMs}\n`)
    }
  }
  return hash.digest('hex').slice(0, 32)
}
