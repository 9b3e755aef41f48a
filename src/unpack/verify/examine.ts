/**
 * One layer's examination, in two passes. Runs in an extractor, synchronously:
 *
 *     tree + tar-split → tar → sha256 = diffID
 *                           └→ skeleton ─▶ compared with the tree, path by path
 */
import { createHash } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { WindlassError } from '../../failure/failure.ts'
import { type DiffId, digestOfHex } from '../../oci/digest.ts'
import { AT, check, cstr, O, openat } from '../../sys/libc.ts'
import { LowerView } from '../../sys/lower-view.ts'
import { Descriptor, openDirectory } from '../../sys/tree.ts'
import { Budget } from '../budget.ts'
import { CorruptStream } from '../inflate/inflate.ts'
import { BadTar } from '../tar/entry.ts'
import { TarReader } from '../tar/reader.ts'
import { TarStream } from '../tar/stream.ts'
import { TreeWriter } from '../tree/writer.ts'
import type { UnpackLimits, Verdict } from '../unpack.ts'
import { compareTrees } from './compare.ts'
import { Differences } from './difference.ts'
import { Donor } from './donor.ts'
import { writeSkeleton } from './skeleton.ts'

export type Examination = {
  /** Where the skeleton is made. */
  readonly dir: string
  readonly diffId: DiffId
  readonly diffSize: number
  readonly limits: UnpackLimits
  /** The trees below, nearest first. */
  readonly lowers: readonly string[]
  readonly diffFd: number
  readonly splitFd: number
  readonly isAborted: () => boolean
  /** Told how many bytes of the tar have passed. */
  readonly progress: (bytes: number) => void
}

/** Throws limit, no-space, system, cancelled. */
export function examineLayer(examination: Examination): Omit<Verdict, 'workMs'> {
  const differences = new Differences()
  try {
    return examine(examination, differences)
  } catch (error) {
    if (!(error instanceof BadTar || error instanceof CorruptStream)) throw error
    // Without its tar-split nothing can be said of the tree, but that it is of no use for a copy.
    differences.add('', 'tar-split', `its tar-split file is damaged: ${error.message}`)
    return { ...told(differences), digest: 'differs', entries: 0, bytes: 0 }
  }
}

function examine(examination: Examination, differences: Differences): Omit<Verdict, 'workMs'> {
  const { dir, diffId, diffFd, limits, isAborted } = examination
  const goOn = (): void => {
    if (isAborted()) throw new WindlassError({ kind: 'cancelled', reason: 'cancelled' })
  }
  const path = `${dir}/diff`
  mkdirSync(path, { mode: 0o755 })
  const budget = new Budget(limits, { dir, digest: diffId, blobSize: undefined })
  const donor = new Donor(diffFd, examination.splitFd)
  const hash = createHash('sha256')
  const stream = measured(donor, examination, goOn, (block) => hash.update(block))
  using tree = new TreeWriter(path, budget, () => {}, writeSkeleton(donor))
  const reader = new TarReader(new TarStream(stream.next), { raw: () => {} }, (size) => budget.metadata(size))
  let entries = 0
  for (let entry = reader.next(); entry !== undefined; entry = reader.next()) {
    goOn()
    entries++
    budget.entry()
    tree.add(entry, reader)
  }
  reader.drain()
  const implied = new Set(tree.finish())
  attributeAsBelow(path, implied, examination.lowers)
  const got = digestOfHex(hash.digest('hex'))
  const digest = got === diffId ? 'equal' : tree.hasReplaced ? 'unknowable' : 'differs'
  using skeleton = new Descriptor(check(openat(AT.FDCWD, cstr(path), DIRECTORY, 0), 'open', path))
  compareTrees(skeleton.fd, diffFd, { differences, implied, readsAgain: tree.hasReplaced, goOn })
  if (digest === 'differs' && differences.total === 0)
    differences.add('', 'tar-split', `every file agrees, but the tar has ${got}: its tar-split file is damaged`)
  return { ...told(differences), digest, entries, bytes: stream.bytes() }
}

/** As a commit does (store/common/implied.ts). */
function attributeAsBelow(path: string, implied: ReadonlySet<string>, lowers: readonly string[]): void {
  if (implied.size === 0 || lowers.length === 0) return
  using open = new DisposableStack()
  const [own = -1, ...below] = [path, ...lowers].map((each) => open.use(openDirectory(AT.FDCWD, cstr(each))).fd)
  const view = new LowerView(own, below)
  for (const each of implied) view.attribute(each)
}

const DIRECTORY = O.RDONLY | O.DIRECTORY | O.CLOEXEC

const told = ({ list, total }: Differences): Pick<Verdict, 'differences' | 'total'> => ({ differences: list, total })

/** The tar's blocks, seen and counted as they pass. A tar-split that makes more of them than the layer has is no layer's. */
function measured(
  donor: Donor,
  { diffSize, progress }: Examination,
  goOn: () => void,
  see: (block: Uint8Array) => void,
): { readonly next: () => Uint8Array | undefined; readonly bytes: () => number } {
  const blocks = donor.blocks()
  let bytes = 0
  return {
    bytes: () => bytes,
    next: () => {
      goOn()
      const { done, value } = blocks.next()
      if (done === true) return undefined
      bytes += value.length
      if (bytes > diffSize) throw new BadTar('it makes a longer tar than the layer is')
      see(value)
      progress(bytes)
      return value
    },
  }
}
