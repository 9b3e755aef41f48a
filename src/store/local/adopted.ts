/**
 * Which layers the stores of podman and CRI-O build on. A reader of an additional image store makes layers of its own above ours, for
 * containers and for images that share a base, and images that are nothing but ours; it asks nobody before. Their files are other
 * programs', so they are read with bounds, and one that cannot be understood may name anything.
 */
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { readForeign } from './foreign.ts'
import { graphRoots } from './storage-conf.ts'

/** What other stores need of ours; where that cannot be told, the file it should be told by, and why not. */
export type Adopted =
  | { readonly kind: 'known'; readonly layers: ReadonlySet<string> }
  | { readonly kind: 'unknown'; readonly file: string; readonly reason: string }

const text = z.string().max(256)
const layers = z.array(z.object({ id: text, parent: text.nullish() })).nullable()
const images = z.array(z.object({ layer: text.nullish(), 'mapped-layers': z.array(text).nullish() })).nullable()

const parentsIn = (document: unknown): readonly string[] =>
  (layers.parse(document) ?? []).flatMap(({ parent }) => (parent ? [parent] : []))
const topsIn = (document: unknown): readonly string[] =>
  (images.parse(document) ?? []).flatMap(({ layer, 'mapped-layers': mapped }) => [...(layer ? [layer] : []), ...(mapped ?? [])])

/** Containers' layers are among the layers; those that need not outlive the machine are in the volatile file, if there is one. */
const FILES: readonly (readonly [path: string, namesIn: (document: unknown) => readonly string[]])[] = [
  ['overlay-layers/layers.json', parentsIn],
  ['overlay-layers/volatile-layers.json', parentsIn],
  ['overlay-images/images.json', topsIn],
]

/** Asks the stores at `roots`, by default those that the configuration of podman and CRI-O names; our own at `own` is not asked. */
export function adoptedLayers(own: string, roots?: readonly string[]): Adopted {
  const found = roots === undefined ? graphRoots() : { kind: 'roots' as const, roots }
  if (found.kind === 'unknown') return found
  const adopted = new Set<string>()
  for (const root of found.roots.map((each) => resolve(each)).filter((each) => each !== own)) {
    for (const [path, namesIn] of FILES) {
      const file = join(root, path)
      try {
        for (const id of namesIn(readDocument(file))) adopted.add(id)
      } catch (error) {
        return { kind: 'unknown', file, reason: error instanceof z.ZodError ? z.prettifyError(error) : String(error) }
      }
    }
  }
  return { kind: 'known', layers: adopted }
}

/** The JSON in a file; null where there is none, and in an empty one, as containers/storage has it. */
function readDocument(file: string): unknown {
  const bytes = readForeign(file)
  return bytes === undefined || bytes.length === 0 ? null : JSON.parse(bytes.toString())
}
