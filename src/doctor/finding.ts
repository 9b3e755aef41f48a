/** What was found of a node, and how it is told. */
import { statfsSync } from 'node:fs'

export type Finding = {
  readonly level: 'ok' | 'warn' | 'fail'
  /** What was looked at: `kernel`, `disk`. */
  readonly about: string
  /** What was found, and what to do about it where it is not well. */
  readonly text: string
}

/** Of the configuration in force; `file` is where it comes from, if it is one. */
export type Settings = {
  readonly rootDir: string
  readonly socket: { readonly path: string }
  readonly runtime: { readonly kind: 'auto' | 'containerd' | 'crio' | 'none'; readonly endpoint?: string }
  readonly registry: { readonly configPath: string; readonly registriesConf: string }
  readonly file?: string
}

export const ok = (about: string, text: string): Finding => ({ level: 'ok', about, text })
export const warn = (about: string, text: string): Finding => ({ level: 'warn', about, text })
export const bad = (about: string, text: string): Finding => ({ level: 'fail', about, text })

/** Below so much a node is near its end: an image does not fit, or the file system has no more names for files. */
const LOW_PERCENT = 10
/** Below so much nothing can be pulled. */
const NONE_PERCENT = 1
const GIGABYTE = 1e9

/** Free blocks and inodes of the file system at `path`. */
export function freeSpace(path: string): Finding {
  return spaceFinding(path, statfsSync(path))
}

type Space = {
  readonly blocks: number
  readonly bavail: number
  readonly bsize: number
  readonly files: number
  readonly ffree: number
}

function spaceFinding(path: string, { blocks, bavail, bsize, files, ffree }: Space): Finding {
  // File systems that make inodes as they go say they have none.
  const percent = (free: number, all: number): number => (all === 0 ? 100 : Math.floor((100 * free) / all))
  const [space, inodes] = [percent(bavail, blocks), percent(ffree, files)]
  const text = `${path}: ${sizeText(bavail * bsize)} of ${sizeText(blocks * bsize)} (${space} %) and ${files === 0 ? 'as many inodes as there is space' : `${inodes} % of the inodes`} are free`
  const least = Math.min(space, inodes)
  if (least < NONE_PERCENT)
    return bad('disk', `${text}: nothing can be pulled; remove images or other files there, or enlarge it`)
  return least < LOW_PERCENT ? warn('disk', `${text}; remove images, or enlarge it`) : ok('disk', text)
}

const sizeText = (bytes: number): string =>
  bytes >= GIGABYTE ? `${(bytes / GIGABYTE).toFixed(1)} GB` : `${Math.floor(bytes / 1e6)} MB`
