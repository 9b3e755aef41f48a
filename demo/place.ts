/** Where the demo may work, and what it leaves there. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtempDisposable, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** statfs f_type of overlayfs: whiteouts cannot be made there, as in the file system of most containers. */
const OVERLAYFS = 0x794c7630
/** The image twice over, and room to breathe. */
const NEEDED = 512 * 1024 * 1024

/** A new temporary directory on a file system that can hold a layer; disposing it removes it. */
export async function temporaryPlace(): Promise<Awaited<ReturnType<typeof mkdtempDisposable>>> {
  const candidates = [tmpdir(), '/var/tmp', '/dev/shm', '/run']
  for (const dir of candidates) {
    const fs = await statfs(dir).catch(() => undefined)
    if (fs !== undefined && fs.type !== OVERLAYFS && fs.bavail * fs.bsize >= NEEDED)
      return mkdtempDisposable(join(dir, 'windlass-demo-'))
  }
  throw new Error(
    `none of ${candidates.join(', ')} has 512 MB free on something other than overlayfs; set TMPDIR to a directory that has`,
  )
}

/** Paths of everything below `dir`, relative to it. Symlinks are not followed, as `readdir`'s own recursion would. */
export function below(dir: string, prefix = ''): string[] {
  if (!existsSync(dir)) return []
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(prefix, entry.name)
    return entry.isDirectory() ? [path, ...below(join(dir, entry.name), path)] : [path]
  })
}

/** Mount points at or below `dir`. */
export function mountsBelow(dir: string): string[] {
  const targets = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
  return targets.filter((target) => target === dir || target.startsWith(`${dir}/`))
}
