/**
 * Where podman and CRI-O keep what is theirs: containers-storage.conf(5), crio.conf(5). Which of the files count, and whether drop-ins do,
 * is for the version that reads them to say (before 2026, the first file of storage.conf's alone). So all are looked at, and what one
 * names counts whatever another says: a root too many keeps a layer, a root too few takes one away from under a container.
 */
import { readdirSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { parse } from 'smol-toml'
import { z } from 'zod'
import { isAbsence, readForeign } from './foreign.ts'

/** Of a file that is written by hand; parsing so much takes some 0.3 s. */
const MAX_BYTES = 2 ** 20
const VARIABLE = 'CONTAINERS_STORAGE_CONF'
/** They count whatever the files say: what was built on our layers before somebody wrote those is there still. */
const DEFAULT_ROOTS = ['/var/lib/containers/storage', '/run/containers/storage']

export type GraphRoots =
  | { readonly kind: 'roots'; readonly roots: readonly string[] }
  | { readonly kind: 'unknown'; readonly file: string; readonly reason: string }

/** Readers put their own environment's variables in, and take what is left relative to where they were started. */
const root = z
  .string()
  .refine((path) => path === '' || (isAbsolute(path) && !path.includes('$')), 'depends on the environment of who reads it')
  .optional()

/** An image store takes the images and their layers; a run root the layers that need not outlive the machine, where those are kept apart. */
const storageConf = z
  .object({ storage: z.object({ graphroot: root, imagestore: root, runroot: root }).optional() })
  .transform(({ storage }) => [storage?.graphroot, storage?.imagestore, storage?.runroot])
const crioConf = z
  .object({ crio: z.object({ root, imagestore: root, runroot: root }).optional() })
  .transform(({ crio }) => [crio?.root, crio?.imagestore, crio?.runroot])

/** A file that may name roots, or a directory of such files. */
type Place = { readonly path: string; readonly rootsIn: z.ZodType<readonly (string | undefined)[]> }

function placesBelow(top: string): readonly Place[] {
  const containers = ['etc/containers', 'usr/share/containers'].flatMap((directory) =>
    ['storage.conf', 'storage.conf.d', 'storage.rootful.conf.d'].map((name) => join(top, directory, name)),
  )
  const crio = ['crio.conf', 'crio.conf.d'].map((name) => join(top, 'etc/crio', name))
  return [...containers.map((path) => ({ path, rootsIn: storageConf })), ...crio.map((path) => ({ path, rootsIn: crioConf }))]
}

/** Every root that the configuration below `top` names, or the file that `named` is, and the default ones. */
export function graphRoots(top = '/', named = process.env[VARIABLE]): GraphRoots {
  const places = [...(named ? [{ path: named, rootsIn: storageConf }] : []), ...placesBelow(top)]
  const roots = new Set<string>()
  let looking = top
  try {
    for (const { path, rootsIn } of places) {
      looking = path
      for (const file of filesAt(path)) {
        looking = file
        const text = readForeign(file, MAX_BYTES)?.toString()
        if (text === undefined) continue
        for (const each of rootsIn.parse(parse(text))) if (each !== undefined && each !== '') roots.add(each)
      }
    }
  } catch (error) {
    return { kind: 'unknown', file: looking, reason: error instanceof z.ZodError ? z.prettifyError(error) : String(error) }
  }
  return { kind: 'roots', roots: [...roots.union(new Set(DEFAULT_ROOTS))] }
}

/** The file itself, or what is in a directory of drop-ins. CRI-O takes every file there, podman those that end in `.conf`. */
function filesAt(path: string): readonly string[] {
  if (!path.endsWith('.d')) return [path]
  try {
    const isTaken = (name: string): boolean => path.endsWith('crio.conf.d') || name.endsWith('.conf')
    return readdirSync(path)
      .filter(isTaken)
      .map((name) => join(path, name))
  } catch (error) {
    if (isAbsence(error)) return []
    throw error
  }
}
