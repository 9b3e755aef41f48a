/**
 * The process that unpacks: takes one job at a time from its parent and does it with synchronous calls. Its parent's words arrive on
 * one socket, a blob's bytes by a ring in shared memory; the local copy a job is made from comes as open descriptors with the job.
 */
import { closeSync, statfsSync, writeSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { isMainThread } from 'node:worker_threads'
import { type Failure, fail, failureOf } from '../failure/failure.ts'
import { returnLargeBlocks, shrink } from '../sys/footprint.ts'
import { forbidCalls } from '../sys/forbid.ts'
import { errnoName, umask } from '../sys/libc.ts'
import { limitProcess } from '../sys/limits.ts'
import { mapShared } from '../sys/shared.ts'
import { type Received, receiveWithFds } from '../sys/socket.ts'
import { type LayerBytes, unpackLayer } from './layer.ts'
import { type Answer, CONTROL_FD, type Greeting, type Job, RING_FD, type UnpackOrder, type VerifyOrder } from './messages.ts'
import { RING_SIZE, RingReader } from './ring.ts'
import type { Chunks } from './tally.ts'
import { blocksOf, type TarBlocks } from './tar-blocks.ts'

/** Directories under way, two for each level of a comparison (a path has at most 2,048), a file, and what Node itself holds. */
const MAX_DESCRIPTORS = 8192

/** A thread of ours was cut short, or does not end. */
let isSpent = false

const isRoot = process.getuid?.() === 0 && process.getgid?.() === 0

// The warden loads this file only to have it compiled.
if (isMainThread) await serve()

async function serve(): Promise<void> {
  // The heap grows in small steps from here on. Before, it would have cost the start more than it saves, and the compile cache.
  setFlagsFromString('--optimize-for-size')
  returnLargeBlocks()
  // Modes are given when an entry is made.
  umask(0)
  const forbidden = forbidCalls()
  say({ refused: [...(forbidden < 0 ? [`seccomp: ${errnoName(forbidden)}`] : []), ...limitProcess(MAX_DESCRIPTORS)] })
  const ring = new RingReader(mapShared(RING_FD, RING_SIZE), () => write('\n'))
  for (let order = nextJob(); order !== undefined; order = nextJob()) {
    shrink()
    const answer = await run(order, ring)
    say(isSpent ? { ...answer, isLast: true } : answer)
    // Whoever reads that ends us: we would wait for the thread.
    ring.reset()
  }
}

type Order = { readonly job: Job; readonly fds: readonly number[] }

/** Undefined when the parent has closed its end, or is gone. */
function nextJob(): Order | undefined {
  let text = ''
  const fds: number[] = []
  while (!text.endsWith('\n')) {
    const received: Received | undefined = receiveWithFds(CONTROL_FD)
    if (received === undefined) return undefined
    text += received.text
    fds.push(...received.fds)
  }
  return { job: JSON.parse(Buffer.from(text, 'latin1').toString()), fds }
}

async function run({ job, fds }: Order, ring: RingReader): Promise<Answer> {
  const start = performance.now()
  const progress = (bytes: number): void => ring.report(bytes)
  try {
    // Owners are set only where they are not root: what is made must be root's.
    if (!isRoot) fail({ kind: 'not-permitted', what: 'unpacking layers', missing: ['CAP_SETUID', 'CAP_SETGID'] })
    if ('verify' in job)
      return { ok: true, verdict: { ...(await examine(job, fds, ring, progress)), workMs: performance.now() - start } }
    const bytes = await open(job, fds, ring)
    await using _blocks = bytes.blocks
    const { dir, diffId, limits, writesBack } = job
    const outcome = unpackLayer({ dir, diffId, bytes, limits, writesBack, progress })
    return { ok: true, layer: { ...outcome, workMs: performance.now() - start - outcome.waitMs } }
  } catch (error) {
    return { ok: false, failure: whereFull(failureOf(error), job.dir), stack: error instanceof Error ? error.stack : undefined }
  } finally {
    for (const fd of fds) closeSync(fd)
  }
}

/** A call that finds no room names a member of the layer; what is full is the file system below `dir`. */
function whereFull(failure: Failure, dir: string): Failure {
  if (failure.kind !== 'no-space') return failure
  const { files, ffree } = statfsSync(dir)
  return { ...failure, path: dir, ...(files > 0 && ffree === 0 ? { inodes: true } : {}) }
}

/** Loaded by who verifies. */
async function examine(
  { verify, ...job }: VerifyOrder,
  [diffFd = -1, splitFd = -1]: readonly number[],
  ring: RingReader,
  progress: (bytes: number) => void,
) {
  const { examineLayer } = await import('./verify/examine.ts')
  return examineLayer({ ...job, ...verify, diffFd, splitFd, isAborted: () => ring.aborted, progress })
}

async function open({ source }: UnpackOrder, [diff = -1, split = -1]: readonly number[], ring: RingReader): Promise<LayerBytes> {
  if (source.kind === 'blob') return { ...source, blocks: await blocksFrom(ring, source.size) }
  // Loaded by the few layers that are copied: it costs 10 MB.
  const { replay } = await import('./replay.ts')
  const copied = replay(diff, split)
  const chunks: Chunks = () => {
    if (ring.aborted) return undefined
    const next = copied.next()
    return next.done === true ? undefined : next.value
  }
  return { kind: 'tar', blocks: blocksOf(chunks, 0), path: source.path }
}

async function blocksFrom(ring: RingReader, size: number): Promise<TarBlocks> {
  const before = ring.waitMs
  const waitedMs = (): number => ring.waitMs - before
  const alone = (): TarBlocks => blocksOf(() => ring.next(), size, waitedMs)
  if (ring.granted() === 1) return alone()
  // Loaded by large layers that come alone.
  const { inflateBeside } = await import('./inflating.ts')
  const onSpent = (): void => {
    isSpent = true
  }
  return (await inflateBeside(ring, { size, waitedMs: waitedMs(), onSpent })) ?? alone()
}

function say(words: Answer | Greeting): void {
  write(`${JSON.stringify(words)}\n`)
}

function write(text: string): void {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; ) at += writeSync(CONTROL_FD, bytes, at)
}
