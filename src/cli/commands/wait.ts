/** `wait`: until the images that lists declare are here. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import { fail, failureOf } from '../../failure/failure.ts'
import type { DeclaredQueue, QueuedImage } from '../../pull/queue.ts'
import { RpcError } from '../../rpc/status.ts'
import type { Abortable } from '../../task/task.ts'
import type { NodeQueue } from '../backend.ts'
import { isLive } from '../io.ts'
import { addText, durationOption, numberOption, type Options, textsOption } from '../options.ts'
import { print } from '../output.ts'
import { Screen } from '../progress/screen.ts'
import { note, type Session } from '../session.ts'
import { duration, plural, printable, reasonBeside } from '../text.ts'

export function addWait(program: Command, session: Session): void {
  program
    .command('wait')
    .description('wait until the images that lists declare are here')
    .option('--list <name>', 'this list; may be given more than once (default: every list)', addText)
    .option('--timeout <duration>', 'for so long at most (default: for as long as it takes)', durationOption)
    .addHelpText(
      'after',
      `
A failed pull is tried again, and waited for; so is a daemon that is being
restarted. Exit code 0 once every image is here, 1 where the time is over
first, 2 where the daemon has no such list.

Examples:
  windlass wait --list base --timeout 10m
  windlass -o json wait --list base --list gpu | jq -r '.[].image'`,
    )
    .action(async (options: Options) => {
      const named = textsOption(options, 'list')
      const images = await waitFor(session, named, numberOption(options, 'timeout'))
      await print(session.io, session.format(), images.map(hereDocument), () => `${plural(images.length, 'image')} here\n`)
    })
}

/** The images, once all are here. Throws not-here-yet; invalid-argument where there is no such list. */
async function waitFor(
  session: Session,
  named: readonly string[],
  timeoutMs: number | undefined,
): Promise<readonly QueuedImage[]> {
  const { signal } = session
  const isBounded = timeoutMs !== undefined && timeoutMs <= LONGEST_MS
  const over = isBounded ? AbortSignal.timeout(timeoutMs) : new AbortController().signal
  const done = new AbortController()
  let images: readonly QueuedImage[] | undefined
  let refusal: unknown
  using view = viewOf(session)
  const look = (queue: NodeQueue): void => {
    if (done.signal.aborted) return
    try {
      const declared = declaredIn(queue, named)
      images = declared.images
      if (images.every(isHere)) done.abort()
      else view.show(declared)
    } catch (error) {
      refusal = error
      done.abort()
    }
  }
  const onGone = (): void => note(session.io, 'the daemon has gone; waiting until it is back')
  await followQueue(session, look, onGone, { signal: AbortSignal.any([signal, done.signal, over]) })
  signal.throwIfAborted()
  if (refusal !== undefined) throw refusal
  if (images?.every(isHere) === true) return images
  const waiting = (images ?? []).filter((image) => !isHere(image)).map((image) => ({ image: image.name, why: whyNot(image) }))
  const shown = waiting.slice(0, SHOWN)
  return fail({
    kind: 'not-here-yet',
    afterSeconds: Math.round((timeoutMs ?? 0) / 1000),
    waiting: shown,
    more: waiting.length - shown.length,
  })
}

/** In a message. */
const SHOWN = 5
/** Until a daemon that has gone is looked for again, in milliseconds. */
const AGAIN_MS = 1_000

/**
 * Follows the queue until the signal aborts, from one daemon to the next: an upgrade is no end of the wait. Throws no-daemon where there was
 * none to begin with, which is a wrong socket more often than a daemon to come; and what a daemon answers.
 */
async function followQueue(
  session: Session,
  look: (queue: NodeQueue) => void,
  onGone: () => void,
  { signal }: Abortable,
): Promise<void> {
  let isThere = false
  for (let wasThere = false; !signal.aborted; ) {
    try {
      await using backend = await session.daemon()
      wasThere = isThere = true
      await backend.watchQueue(look, { signal })
    } catch (error) {
      if (signal.aborted) return
      if (!wasThere || !isGone(error)) throw error
    }
    if (isThere && !signal.aborted) onGone()
    isThere = false
    await delay(AGAIN_MS, undefined, { signal }).catch(() => {})
  }
}

/** Its socket is away, or closed in the middle of the answer; or it has said that it ends. */
const isGone = (error: unknown): boolean =>
  error instanceof RpcError ? error.code === 'UNAVAILABLE' || error.code === 'CANCELLED' : failureOf(error).kind === 'no-daemon'
/** What a timer can wait for; nobody waits for more than 24 days. */
const LONGEST_MS = 2 ** 31 - 1

const isHere = ({ state }: QueuedImage): boolean => state.kind === 'here'

/** What is declared by these lists, or by all. Throws invalid-argument. */
function declaredIn({ declared }: NodeQueue, named: readonly string[]): DeclaredQueue {
  if (declared === undefined)
    return fail({
      kind: 'invalid-argument',
      what: 'wait',
      reason: 'this daemon follows no lists; prepull.listDir in its configuration says where they are',
    })
  const unknown = named.find((name) => !declared.lists.includes(name))
  if (unknown !== undefined) {
    const others = declared.lists.length === 0 ? 'there is none' : `there are ${declared.lists.join(', ')}`
    const problems = declared.problems.map((problem) => `; ${problem}`).join('')
    fail({
      kind: 'invalid-argument',
      what: `list ${JSON.stringify(unknown)}`,
      reason: `no list of that name; ${others}${problems}`,
    })
  }
  return named.length === 0 ? declared : { ...declared, images: declared.images.filter(({ list }) => named.includes(list)) }
}

function whyNot({ name, state }: QueuedImage): string {
  switch (state.kind) {
    case 'failed':
      return `${reasonBeside(name, state.reason)}; tried ${plural(state.attempts, 'time')}`
    case 'pulling':
      return state.failed === undefined ? 'being pulled' : `being pulled, after: ${reasonBeside(name, state.failed.reason)}`
    case 'waiting':
      return 'waiting'
    case 'here':
      return 'here'
  }
}

const hereDocument = ({ list, name, state }: QueuedImage) => ({
  list,
  image: name,
  ...(state.kind === 'here' ? { imageId: state.image, at: state.at, protected: state.isProtected } : {}),
})

type View = Disposable & { readonly show: (declared: DeclaredQueue) => void }

/** On a terminal what is waited for, in place; elsewhere a line whenever it changes. */
function viewOf({ io }: Session): View {
  let lines: readonly string[] = []
  if (!isLive(io.stderr, io.env)) {
    let before = ''
    return {
      show: (declared) => {
        const [text = ''] = linesOf(declared)
        if (text !== before) note(io, text)
        before = text
      },
      [Symbol.dispose]: () => {},
    }
  }
  const screen = new Screen(io.stderr, () => lines)
  return {
    show: (declared) => {
      lines = linesOf(declared)
      screen.update()
    },
    [Symbol.dispose]: () => screen[Symbol.dispose](),
  }
}

function linesOf({ images, held }: DeclaredQueue): readonly string[] {
  const missing = images.filter((image) => !isHere(image))
  const heldBy = held === undefined ? '' : `; nothing more begins: ${held}`
  return [
    printable(`waiting for ${missing.length} of ${plural(images.length, 'image')}${heldBy}`),
    ...missing.map((image) => printable(`  ${image.name}  ${whyNot(image)}${againIn(image)}`)),
  ]
}

function againIn({ state }: QueuedImage): string {
  if (state.kind !== 'failed') return ''
  return `; again in ${duration(Math.max(0, state.next.getTime() - Date.now()))}`
}
