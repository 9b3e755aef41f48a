/**
 * An archive that is a tar: an index of its members, and their bytes in place. Nothing is unpacked, so a member's name is no more than a
 * key; links are followed within the index.
 */
import { closeSync, fstatSync } from 'node:fs'
import { posix } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { type Failure, fail } from '../failure/failure.ts'
import type { Abortable } from '../task/task.ts'
import { BadTar, type Member, membersOf } from '../unpack/members.ts'
import type { ArchivedFile, Files } from './archive.ts'
import { readAt } from './read-at.ts'

/** An image of 500 layers has some 500 blobs; docker's archives three members for each. */
const MAX_MEMBERS = 200_000
/** Bytes of names and extended headers, all members together. */
const MAX_METADATA = 64 * 1024 * 1024
const MAX_LINKS = 8
/** Each may be a look at another place of the disk, and a daemon that reads an archive answers calls meanwhile. */
const MEMBERS_AT_ONCE = 64

/** One key's member; `twice` where the archive has the name more than once, and readers differ in which one they take. */
type Entry = { readonly member: Member; readonly twice: boolean }

/** Takes over `fd`, a regular file. Throws bad-archive, system, cancelled. */
export async function openTar(fd: number, name: string, options: Abortable): Promise<Files> {
  using cleanup = new DisposableStack()
  cleanup.defer(() => closeSync(fd))
  const refuse = (reason: string, entry?: string): never => fail(badArchive(name, reason, entry))
  const entries = await indexOf(fd, name, options)
  const lookUp = (path: string): Member | undefined => {
    let at = path
    for (let links = 0; links <= MAX_LINKS; links++) {
      const entry = entries.get(at)
      if (entry === undefined)
        return at === path ? undefined : refuse(`it is a link to ${at}, which the archive does not hold`, path)
      const { member, twice } = entry
      if (twice) refuse('the archive holds this name more than once', at)
      if (member.type === 'file') return member
      if (member.type === 'other') refuse('it is no file', at)
      at = targetOf(member, at) ?? refuse('it is a link that leads out of the archive', path)
    }
    return refuse('its links lead in a circle', path)
  }
  cleanup.move()
  return {
    find: async (path): Promise<ArchivedFile | undefined> => {
      const member = lookUp(path)
      if (member === undefined) return undefined
      if (member.isSparse) refuse('it is a sparse member, which archives of images do not have', path)
      const { size, offset } = member
      return { size, read: (from, length) => readAt(fd, offset + from, Math.max(0, Math.min(length, size - from))) }
    },
    [Symbol.asyncDispose]: async () => closeSync(fd),
  }
}

async function indexOf(fd: number, name: string, { signal }: Abortable): Promise<ReadonlyMap<string, Entry>> {
  const entries = new Map<string, Entry>()
  let [members, metadata] = [0, 0]
  const spend = (bytes: number): void => {
    metadata += bytes
    if (metadata > MAX_METADATA) fail(badArchive(name, `its members have more than ${MAX_METADATA} bytes of names`))
  }
  try {
    for (const member of membersOf(fd, fstatSync(fd).size, spend)) {
      if (++members > MAX_MEMBERS) fail(badArchive(name, `it has more than ${MAX_MEMBERS} members`))
      if (members % MEMBERS_AT_ONCE === 0) await turn()
      signal.throwIfAborted()
      spend(member.name.length + member.linkName.length)
      const key = keyOf(member.name)
      // Directories may be said as often as one likes; a name that leads out can never be asked for.
      if (key === undefined || (member.type === 'other' && entries.has(key))) continue
      entries.set(key, { member, twice: entries.has(key) })
    }
  } catch (error) {
    if (error instanceof BadTar) fail(badArchive(name, error.message, error.entry), error)
    throw error
  }
  return entries
}

/** `./a//b` is `a/b`; undefined for what is absolute or leads out. */
function keyOf(name: string): string | undefined {
  const key = posix.normalize(Buffer.from(name, 'latin1').toString()).replace(/\/$/, '')
  return key.startsWith('/') || key === '..' || key.startsWith('../') ? undefined : key
}

/** A symlink's target is relative to where it stands, a hard link's to the archive. */
function targetOf({ type, linkName }: Member, at: string): string | undefined {
  if (linkName.startsWith('/')) return undefined
  return keyOf(type === 'symlink' ? `${posix.dirname(at)}/${linkName}` : linkName)
}

const badArchive = (archive: string, reason: string, entry?: string): Failure => ({
  kind: 'bad-archive',
  archive,
  reason,
  ...(entry === undefined ? {} : { entry }),
})
