/**
 * What the programs that people run here are told on their command lines. `--help` says what one of them does, how long it takes and what it
 * needs; what was typed wrong is told in one line, and ends it with 2. Values are checked here, and are numbers where numbers are meant.
 */
import { parseArgs } from 'node:util'
import { nearest } from '../src/failure/nearest.ts'
import { isRoot } from './machine.ts'

export type Option<T> = {
  readonly help: string
  /** What stands for its value in the help; a switch has none. */
  readonly value?: string
  /** What holds without it, as people read it. */
  readonly byDefault?: string
  /** What was given, as often as it was. Throws what is wrong with it. */
  read(given: readonly string[]): T
}
export type Options = Readonly<Record<string, Option<unknown>>>
export type Values<O extends Options> = { readonly [Name in keyof O]: O[Name] extends Option<infer T> ? T : never }

export type Program<O extends Options> = {
  /** As it is typed: `npm run memory`. */
  readonly command: string
  /** Sentences, broken into lines here. */
  readonly about: string
  readonly takes: string
  /** It is nothing for others. */
  readonly root?: true
  /** What it needs beside that. */
  readonly needs?: string
  readonly options: O
  /** What it takes beside options, and what that is. */
  readonly operands?: { readonly value: string; readonly help: string }
  /** Arguments, and what they are for. */
  readonly examples?: readonly (readonly [args: string, what: string])[]
}

/** What was typed is not understood; the message says why. */
export class UsageError extends Error {}

const refuse = (reason: string): never => {
  throw new UsageError(reason)
}

export const flag = (help: string): Option<boolean> => ({ help, read: (given) => given.length > 0 })

export const text = (value: string, help: string): Option<string | undefined> => ({ help, value, read: (given) => given.at(-1) })

/** A number of at least 1, without a fraction. The last one counts. */
export const whole = <D extends number | undefined>(value: string, byDefault: D, help: string): Option<number | D> =>
  numeric(value, byDefault, help, wholeIn)

/** The same with a fraction: anything above 0. */
export const amount = <D extends number | undefined>(value: string, byDefault: D, help: string): Option<number | D> =>
  numeric(value, byDefault, help, amountIn)

/** As often as one wants. */
export const wholes = (value: string, byDefault: readonly number[], help: string): Option<readonly number[]> => ({
  help: `${help}; may be given more than once`,
  value,
  byDefault: byDefault.join(', '),
  read: (given) => (given.length === 0 ? byDefault : given.map(wholeIn)),
})

/** One of those, or what holds without it. */
export const oneOf = <const T extends string, D extends T | undefined>(
  choices: readonly T[],
  byDefault: D,
  help: string,
): Option<T | D> => ({
  help,
  value: choices.join('|'),
  ...(byDefault === undefined ? {} : { byDefault }),
  read: (given) => given.map(choiceOf(choices)).at(-1) ?? byDefault,
})

/** Some of those, given more than once or with commas between; undefined where none is named, which means all. */
export const someOf = <const T extends string>(choices: readonly T[], help: string): Option<readonly T[] | undefined> => ({
  help: `${help}: ${choices.join(', ')}`,
  value: 'NAME,…',
  byDefault: 'all',
  read: (given) => (given.length === 0 ? undefined : given.flatMap((each) => each.split(',')).map(choiceOf(choices))),
})

function numeric<D extends number | undefined>(
  value: string,
  byDefault: D,
  help: string,
  read: (text: string) => number,
): Option<number | D> {
  const shown = byDefault === undefined ? {} : { byDefault: String(byDefault) }
  return { help, value, ...shown, read: (given) => given.map(read).at(-1) ?? byDefault }
}

const wholeIn = (given: string): number =>
  /^\d{1,15}$/.test(given) && Number(given) > 0 ? Number(given) : refuse(`${given}: want a whole number of at least 1`)

const amountIn = (given: string): number =>
  /^\d*\.?\d+$/.test(given) && Number(given) > 0 ? Number(given) : refuse(`${given}: want a number above 0`)

const choiceOf =
  <T extends string>(choices: readonly T[]) =>
  (given: string): T =>
    choices.find((choice) => choice === given) ?? refuse(`${given}: want ${choices.join(', ')}`)

export type Read<O extends Options> = { readonly values: Values<O>; readonly operands: readonly string[] }

/** Throws UsageError. */
export function readArguments<O extends Options>({ options, operands }: Program<O>, args: readonly string[]): Read<O> {
  const { values, positionals } = parsed(options, operands !== undefined, args)
  const read = Object.entries(options).map(([name, option]) => {
    try {
      return [name, option.read([values[name] ?? []].flat().map(String))]
    } catch (error) {
      throw error instanceof UsageError ? new UsageError(`--${name} ${error.message}`) : error
    }
  })
  // Each is what its own option has read: more than that no type of fromEntries can say.
  return { values: Object.fromEntries(read), operands: positionals }
}

function parsed(options: Options, allowPositionals: boolean, args: readonly string[]) {
  const types = Object.entries(options).map(
    ([name, { value }]) => [name, { type: value === undefined ? 'boolean' : 'string', multiple: true }] as const,
  )
  try {
    return parseArgs({ args: [...args], allowPositionals, options: Object.fromEntries(types) })
  } catch (error) {
    // Sentences about what it does for other programs follow.
    const [first = ''] = error instanceof TypeError ? error.message.split(/\.?\s*\n|\. |\.$/, 1) : []
    throw first === '' ? error : new UsageError(`${first}${meantIn(first, Object.keys(options))}`)
  }
}

function meantIn(message: string, names: readonly string[]): string {
  const typed = /^Unknown option '--([^']+)'/.exec(message)?.[1]
  const meant = typed === undefined ? undefined : nearest(typed, names)
  return meant === undefined ? '' : `; is --${meant} meant?`
}

/** What this process was given. It ends here where it is asked for help, does not understand, or is not root where it must be. */
export function argumentsOf<O extends Options>(program: Program<O>): Read<O> {
  const args = process.argv.slice(2)
  if (args.some((arg) => arg === '--help' || arg === '-h')) {
    process.stdout.write(helpOf(program))
    process.exit(0)
  }
  try {
    const read = readArguments(program, args)
    if (program.root !== true || isRoot()) return read
    console.error(`${program.command}: it needs root`)
    process.exit(1)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    console.error(`${program.command}: ${error.message}; ${typed(program.command, '--help')} says what there is`)
    process.exit(2)
  }
}

export const optionsOf = <O extends Options>(program: Program<O>): Values<O> => argumentsOf(program).values

/** npm keeps what is before `--` for itself. */
const typed = (command: string, args: string): string => `${command}${command.startsWith('npm ') ? ' --' : ''} ${args}`

const WIDTH = 100

export function helpOf({ command, about, takes, root, needs, options, operands, examples = [] }: Program<Options>): string {
  const all: Row[] = [
    ...Object.entries(options).map(([name, { value, help, byDefault }]): Row => {
      const without = byDefault === undefined ? '' : ` (${byDefault})`
      return [`--${name}${value === undefined ? '' : ` ${value}`}`, `${help}${without}`]
    }),
    ...(operands === undefined ? [] : [[operands.value, operands.help] as const]),
    ['-h, --help', 'this text'],
  ]
  const sections = [
    `Usage: ${typed(command, `[options]${operands === undefined ? '' : ` ${operands.value}`}`)}`,
    wrapped(about, 0),
    aligned([
      ['takes', takes],
      ['needs', [root === true ? 'root' : '', needs ?? ''].filter(Boolean).join('; ') || 'nothing'],
    ]),
    aligned(all),
    ...(examples.length === 0 ? [] : [aligned(examples.map(([args, what]) => [typed(command, args), what]))]),
  ]
  return `${sections.join('\n\n')}\n`
}

type Row = readonly [name: string, text: string]

/** Names, and texts beside them; below where a name takes the room of a text. */
function aligned(rows: readonly Row[]): string {
  const column = Math.min(60, Math.max(...rows.map(([name]) => name.length))) + 4
  return rows
    .map(([name, text]) => {
      const beside = wrapped(text, column)
      const head = `  ${name}`
      return head.length > column - 2 ? `${head}\n${beside}` : head.padEnd(column) + beside.trimStart()
    })
    .join('\n')
}

/** Lines of words, each with so much room before it. */
function wrapped(text: string, indent: number): string {
  const lines: string[] = []
  for (const word of text.trim().split(/\s+/)) {
    const line = lines.at(-1)
    if (line === undefined || line.length + 1 + word.length > WIDTH) lines.push(' '.repeat(indent) + word)
    else lines[lines.length - 1] = `${line} ${word}`
  }
  return lines.join('\n')
}
