/**
 * Typed calls from one thread to another. A worker serves duties, each a synchronous function of one value; the main thread calls them
 * by name. Calls are taken up one at a time in the order they were made, and their answers arrive in that order. What passes is
 * structured-cloned; a failure arrives as the `WindlassError` it was thrown as.
 */
import { once } from 'node:events'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { asWindlassError, type Failure, fail, WindlassError } from '../../failure/failure.ts'
import type { LogLine, StoreLog } from './log.ts'

/** What a worker does: named functions of one value. */
export type Duties<D> = { readonly [K in keyof D]: (argument: never) => unknown }

type Question = { readonly call: number; readonly duty: string; readonly argument: unknown }
type Answer =
  | { readonly call: number; readonly value: unknown }
  | { readonly call: number; readonly failure: Failure; readonly cause: string | undefined }
  | { readonly log: LogLine }

type Served = { readonly [duty: string]: (argument: never) => unknown }

/**
 * The worker's side: serves what `begin` makes until the main thread closes it. `begin` runs with the first call, which so gets its
 * failure, too.
 */
export function serve(begin: () => Served): void {
  const port = parentPort
  if (isMainThread || port === null) fail({ kind: 'internal', what: 'a worker file was run as a program' })
  let duties: Served | undefined
  port.on('message', (question: Question | 'close') => {
    if (question === 'close') return port.close()
    port.postMessage(
      answerTo(question, () => {
        duties ??= begin()
        return duties
      }),
    )
  })
}

function answerTo({ call, duty, argument }: Question, duties: () => Served): Answer {
  try {
    const run = duties()[duty] ?? fail({ kind: 'internal', what: `this thread has no duty ${duty}` })
    // The other side is `Thread`, which lets only this duty's argument through.
    return { call, value: run(argument as never) }
  } catch (error) {
    const { failure, cause } = asWindlassError(error)
    return { call, failure, cause: cause instanceof Error ? cause.stack : undefined }
  }
}

/** The log as a worker has it: every line goes to the main thread's. */
export const logToMain: StoreLog = {
  info: (fields, message) => postLog('info', fields, message),
  warn: (fields, message) => postLog('warn', fields, message),
  error: (fields, message) => postLog('error', fields, message),
}

function postLog(level: LogLine['level'], fields: object, message: string): void {
  parentPort?.postMessage({ log: { level, message, fields: { ...fields } } } satisfies Answer)
}

/** The main thread's side. Once the worker has died, every call fails with internal. */
export class Thread<D extends Duties<D>> implements AsyncDisposable {
  readonly #worker: Worker
  readonly #name: string
  readonly #onLost: ((error: Error) => void) | undefined
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>()
  #calls = 0
  #end: WindlassError | undefined
  #isClosing = false

  /** `onLost` is called if it ends before it is disposed. */
  constructor(file: URL, name: string, workerData: unknown, log: StoreLog, onLost?: (error: Error) => void) {
    this.#name = name
    this.#onLost = onLost
    // With no arguments: what the program was started with (--eval, a debugger) is not meant for its threads.
    // And with a small nursery: a thread that mostly waits need not hold 18 MB of garbage after its start.
    this.#worker = new Worker(file, { name, workerData, execArgv: [], resourceLimits: { maxYoungGenerationSizeMb: 4 } })
    this.#worker.on('message', (answer: Answer) => ('log' in answer ? write(answer.log, log) : this.#settle(answer)))
    this.#worker.on('error', (error) => this.#ended(error))
    this.#worker.on('exit', () => this.#ended(undefined))
  }

  call<K extends keyof D & string>(duty: K, argument: Parameters<D[K]>[0]): Promise<ReturnType<D[K]>> {
    if (this.#end !== undefined) return Promise.reject(this.#end)
    const answer = Promise.withResolvers<unknown>()
    const call = this.#calls++
    this.#pending.set(call, answer)
    this.#worker.postMessage({ call, duty, argument } satisfies Question)
    // The other side is `serve<D>`, whose answer to this duty is of this type.
    return answer.promise as Promise<ReturnType<D[K]>>
  }

  /** Lets the calls made so far finish, then waits for the worker to end. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#end !== undefined) return
    this.#isClosing = true
    const exit = once(this.#worker, 'exit')
    this.#worker.postMessage('close')
    await exit
  }

  #settle(answer: Exclude<Answer, { readonly log: LogLine }>): void {
    const pending = this.#pending.get(answer.call)
    this.#pending.delete(answer.call)
    if ('failure' in answer) pending?.reject(new WindlassError(answer.failure, answer.cause))
    else pending?.resolve(answer.value)
  }

  #ended(error: unknown): void {
    const isFirst = this.#end === undefined
    this.#end ??= new WindlassError({ kind: 'internal', what: `the ${this.#name} thread has ended` }, error)
    if (isFirst && !this.#isClosing) this.#onLost?.(this.#end)
    for (const { reject } of this.#pending.values()) reject(this.#end)
    this.#pending.clear()
  }
}

const write = ({ level, fields, message }: LogLine, log: StoreLog): void => log[level](fields, message)
