/** `wait`: until the images that lists declare are here. */
import type { Command } from 'commander'
import { fail } from '../../failure/failure.ts'
import type { DeclaredQueue, QueuedImage } from '../../pull/queue.ts'
import type { Backend, NodeQueue } from '../backend.ts'
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
    .option('--list <name>', 'this list; may be given more than once (default: every list)', addText, [])
    .option('--timeout <duration>', 'for so long at most (default: for as long as it takes)', durationOption)
    .addHelpText(
      'after',
      `
A failed pull is tried again, and waited for. Exit code 0 once every image is
here, 1 where the time is over first, 2 where the daemon has no such list.

Examples:
  windlass wait --list base --timeout 10m
  windlass -o json wait --list base --list gpu | jq -r '.[].image'`,
    )
    .action(async (options: Options) => {
      const named = textsOption(options, 'list')
      await using backend = await session.daemon()
      const images = await waitFor(session, backend, named, numberOption(options, 'timeout'))
      await print(session.io, session.format(), images.map(hereDocument), () => `${plural(images.length, 'image')} here\n`)
    })
}

/** The images, once all are here. Throws not-here-yet; invalid-argument where there is no such list. */
async function waitFor(
  session: Session,
  backend: Backend,
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
  await backend.watchQueue(look, { signal: AbortSignal.any([signal, done.signal, over]) })
  signal.throwIfAborted()
  if (refusal !== undefined) throw refusal
  if (images?.every(isHere) === true) return images
  if (!over.aborted) fail({ kind: 'internal', what: 'the daemon ended the watch' })
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
