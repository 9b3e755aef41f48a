/** Where the store is, or will be. */
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, failureOf } from '../failure/failure.ts'
import { type Mount, mountOf } from '../sys/mountinfo.ts'
import { bad, type Finding, freeSpace, ok, warn } from './finding.ts'

/** Those that stores of images are kept on everywhere; overlay needs much of what is above its layers. */
const USUAL = ['ext4', 'xfs', 'btrfs', 'tmpfs']
/** What is renamed from one to the other: a layer when it is complete, a tree that goes. */
const PARTS = ['staging', 'overlay', 'trash']

/** The path, or the nearest directory above it that is there. */
export function existing(path: string): string {
  return existsSync(path) ? path : existing(dirname(path))
}

export function diskFindings(root: string): readonly Finding[] {
  const at = existing(root)
  const mount = mountOf(at)
  if (mount.readOnly) return [bad('disk', `${at} is mounted read-only; mount it for writing, or choose another rootDir`)]
  try {
    accessSync(at, constants.W_OK | constants.X_OK)
  } catch (error) {
    return [bad('disk', `${at}: ${describe(failureOf(error))}`)]
  }
  return [freeSpace(at), ...typeFindings(at, mount), ...sameMount(PARTS.map((part) => join(root, part))), ...privacy(root)]
}

export function typeFindings(at: string, { type }: Pick<Mount, 'type'>): readonly Finding[] {
  if (USUAL.includes(type)) return [ok('disk', `${at} is on ${type}`)]
  if (type === 'overlay')
    return [bad('disk', `${at} is on an overlay, which cannot be layers of another; choose a rootDir on a disk`)]
  return [warn('disk', `${at} is on ${type}, which has not been tried; ext4 or xfs are usual`)]
}

/** Whether these directories, as far as they are there, can be renamed into each other. */
export function sameMount(paths: readonly string[]): readonly Finding[] {
  const there = paths.filter((path) => existsSync(path))
  const [first, ...others] = there
  if (first === undefined || others.length === 0) return []
  const { id } = mountOf(first)
  const apart = others.filter((path) => mountOf(path).id !== id)
  return apart.length === 0
    ? [ok('disk', `${there.join(', ')} are in one mount, so that layers are put in place by a rename`)]
    : [
        bad(
          'disk',
          `${apart.join(', ')}: another mount than ${first}; mount (or name in ReadWritePaths=) what is above both, once`,
        ),
      ]
}

function privacy(root: string): readonly Finding[] {
  const found = statSync(root, { throwIfNoEntry: false })
  if (found === undefined || (found.mode & 0o077) === 0) return []
  return [warn('disk', `${root} can be entered by other users, and layers hold setuid programs; chmod 0700 ${root}`)]
}
