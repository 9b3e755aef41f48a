/** Where podman and CRI-O keep what is theirs: containers-storage.conf(5). */
import { readFileSync } from 'node:fs'
import { parse } from 'smol-toml'
import { z } from 'zod'

/** The administrator's file, then the distribution's. The first that is there counts alone, unless the environment names another. */
const FILES = ['/etc/containers/storage.conf', '/usr/share/containers/storage.conf']
const VARIABLE = 'CONTAINERS_STORAGE_CONF'
const DEFAULT_ROOTS = ['/var/lib/containers/storage', '/run/containers/storage']

export type GraphRoots =
  | { readonly kind: 'roots'; readonly roots: readonly string[] }
  | { readonly kind: 'unknown'; readonly file: string; readonly reason: string }

const schema = z.object({
  storage: z.object({ graphroot: z.string().optional(), runroot: z.string().optional() }).optional(),
})

/**
 * The graph root, and the run root, where a transient store keeps its volatile layers. The defaults count beside what a file says: what
 * was built on our layers before somebody wrote it is there still.
 */
export function graphRoots(files: readonly string[] = filesOf(process.env[VARIABLE])): GraphRoots {
  for (const file of files) {
    try {
      const { storage } = schema.parse(parse(readFileSync(file, 'utf8')))
      const named = [storage?.graphroot, storage?.runroot].filter((root) => root !== undefined && root !== '')
      return { kind: 'roots', roots: [...new Set([...named, ...DEFAULT_ROOTS].flatMap((root) => root ?? []))] }
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') continue
      return { kind: 'unknown', file, reason: error instanceof z.ZodError ? z.prettifyError(error) : String(error) }
    }
  }
  return { kind: 'roots', roots: DEFAULT_ROOTS }
}

const filesOf = (named: string | undefined): readonly string[] => (named ? [named] : FILES)
