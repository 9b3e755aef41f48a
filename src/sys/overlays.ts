/** Overlay mounts, as this process's mount namespace shows them (proc_pid_mountinfo(5)). */
import { readFileSync } from 'node:fs'

export type Overlay = {
  readonly target: string
  /** Nearest first, as they were given: a relative one is relative to what nothing shows. */
  readonly lowers: readonly string[]
}

export const overlays = (): readonly Overlay[] => overlaysIn(readFileSync('/proc/self/mountinfo', 'latin1'))

/** `mountinfo` as latin1: names are bytes. */
export function overlaysIn(mountinfo: string): readonly Overlay[] {
  return mountinfo
    .split('\n')
    .filter((line) => line.includes(' - overlay '))
    .map((line) => {
      const [, , , , target = ''] = line.split(' ')
      // One option of many, or one for each (fsconfig's lowerdir+). Commas and colons in names have a backslash before them (kernel's overlayfs.rst).
      const options = [...line.matchAll(/,lowerdir\+?=((?:\\134[,:]|[^, ])*)/g)]
      const lowers = options.flatMap(([, value = '']) => value.split(/(?<!\\134):/))
      return { target: unescaped(target), lowers: lowers.map((lower) => unescaped(lower.replace(/\\134([,:])/g, '$1'))) }
    })
}

/** White space and backslashes are written in octal. */
const unescaped = (text: string): string =>
  Buffer.from(
    text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    'latin1',
  ).toString()
