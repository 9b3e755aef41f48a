/** Whether a pod's pull goes before one ahead of it: trials in a network namespace (`inside.ts`), and what they must come to. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'

const podPull = z.object({
  /** Of its layers; time of its PullImage; what the link carried meanwhile, heads included. */
  bytes: z.number(),
  ms: z.number(),
  carried: z.number(),
  /** What was still to come of the image ahead when it had ended. */
  warmLeft: z.number(),
})
export type PodPull = z.output<typeof podPull>

const outcomeSchema = z.object({ rate: z.number(), warm: z.number(), pods: z.array(podPull), carried: z.number() })
export type Outcome = z.output<typeof outcomeSchema>

/** Megabytes, and megabytes a second. `into`: a store of Windlass's own, or containerd's. */
export type Trial = {
  readonly rate: number
  readonly warm: number
  readonly small: number
  readonly large: number
  readonly into: 'none' | 'containerd'
}

export async function preempt(trial: Trial): Promise<Outcome> {
  const args = Object.entries(trial).map(([name, value]) => `--${name}=${value}`)
  const inside = join(import.meta.dirname, 'inside.ts')
  const { stdout } = await promisify(execFile)('unshare', ['--net', process.execPath, inside, ...args])
  return outcomeSchema.parse(JSON.parse(stdout))
}

/** Of what the link carried while it was under way, the part that was its own. */
export const shareOf = ({ bytes, carried }: PodPull): number => bytes / carried

/** How often each byte of all layers came, on average; a packet of 1500 bytes carries 1448 of them. */
export const timesFetched = ({ warm, pods, carried }: Outcome): number =>
  (carried * (1448 / 1514)) / (warm + pods.reduce((sum, { bytes }) => sum + bytes, 0))
