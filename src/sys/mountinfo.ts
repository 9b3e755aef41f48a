/** Which mount a path is in (proc_pid_mountinfo(5)). Two paths can be renamed into each other in one mount only, whatever disk they are on. */
import { closeSync, openSync, readFileSync } from 'node:fs'
import { fail } from '../failure/failure.ts'
import { O } from './libc.ts'

export type Mount = {
  /** One number for each mount of this process's namespace. */
  readonly id: number
  /** `ext4`, `xfs`, `overlay`. */
  readonly type: string
  readonly readOnly: boolean
}

/** The mount of `path`, which exists. Throws system. */
export function mountOf(path: string): Mount {
  const id = mountIdOf(path)
  for (const line of readFileSync('/proc/self/mountinfo', 'latin1').split('\n')) {
    // id parent major:minor root target options [tags…] - type source options-of-the-file-system
    const [before = '', after = ''] = line.split(' - ')
    const [number, , , , , options = ''] = before.split(' ')
    const [type = '', , shared = ''] = after.split(' ')
    const readOnly = [options, shared].some((each) => each.split(',').includes('ro'))
    if (Number(number) === id) return { id, type, readOnly }
  }
  return fail({ kind: 'internal', what: `the mount of ${path} is not in mountinfo` })
}

function mountIdOf(path: string): number {
  const fd = openSync(path, O.PATH)
  try {
    return Number(/^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1])
  } finally {
    closeSync(fd)
  }
}
