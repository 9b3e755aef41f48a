/** What the kernel refuses of the confinement of extractors, found out by a process that confines itself and ends. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { z } from 'zod'
import { landlockVersion } from '../sys/confine.ts'
import { beside } from '../task/beside.ts'
import type { Abortable } from '../task/task.ts'
import { type Finding, ok, warn } from './finding.ts'

const PATIENCE_MS = 20_000
const MAX_BYTES = 64 * 1024
const program = fileURLToPath(beside(import.meta.url, 'confinement-trial'))
const answer = z.array(z.string().max(1_000)).max(100)

export async function confinementFindings({ signal }: Abortable): Promise<readonly Finding[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [program], {
    cwd: '/',
    env: {},
    signal,
    timeout: PATIENCE_MS,
    maxBuffer: MAX_BYTES,
  })
  return refusals(answer.parse(JSON.parse(stdout)), landlockVersion())
}

/** `refused` is a line for each step that was. */
export function refusals(refused: readonly string[], landlock: number): readonly Finding[] {
  if (refused.length === 0)
    return [ok('confinement', `extractors give up network, files, programs and calls (Landlock ${landlock})`)]
  return refused.map((line) =>
    warn('confinement', `extractors keep what they need not have: ${line}; ${line.startsWith('Landlock') ? LANDLOCK : SANDBOX}`),
  )
}

const LANDLOCK = 'Linux 5.19 or newer is needed, with landlock in lsm='
const SANDBOX = 'this kernel, or a sandbox around this process, does not let them'
