import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import {
  amount,
  argumentsOf,
  flag,
  helpOf,
  oneOf,
  type Program,
  readArguments,
  someOf,
  text,
  UsageError,
  whole,
  wholes,
} from '../../scripts/options.ts'

const top = join(import.meta.dirname, '..', '..')

const options = {
  count: whole('N', 3, 'runs'),
  runs: whole('N', undefined, 'rounds'),
  cpus: amount('N', 0.5, 'CPUs'),
  mib: wholes('MIB', [64], 'size'),
  into: oneOf(['own', 'containerd'], 'own', 'where it lands'),
  image: someOf(['debian', 'layers-40'], 'what is pulled'),
  out: text('DIR', 'where to'),
  quick: flag('less of it'),
}
const program: Program<typeof options> = {
  command: 'npm run thing',
  about: `What it
    measures.`,
  takes: 'a minute',
  root: true,
  needs: 'nginx',
  options,
  examples: [['--count 1', 'a look']],
}
const read = (...args: string[]) => readArguments(program, args).values

describe('the arguments of a program', () => {
  it('have values of their kinds, and defaults', () => {
    expect(read()).toEqual({ count: 3, cpus: 0.5, mib: [64], into: 'own', quick: false })
    const { count, runs = 1 } = read('--count', '2', '--count=7')
    expect(count + runs).toBe(8)
    expect(read('--cpus', '.25', '--mib', '1', '--mib', '2', '--into', 'containerd', '--quick', '--out', 'x')).toMatchObject({
      cpus: 0.25,
      mib: [1, 2],
      into: 'containerd',
      quick: true,
      out: 'x',
    })
    expect(read('--image', 'layers-40,debian').image).toEqual(['layers-40', 'debian'])
  })

  it.each([
    [['--count', 'many'], '--count many: want a whole number of at least 1'],
    [['--count', '0'], '--count 0: want a whole number of at least 1'],
    [['--count', '1e3'], '--count 1e3: want a whole number of at least 1'],
    [['--cpus', '0'], '--cpus 0: want a number above 0'],
    [['--mib', '1', '--mib', 'x'], '--mib x: want a whole number of at least 1'],
    [['--into', 'podman'], '--into podman: want own, containerd'],
    [['--image', 'debian,ubuntu'], '--image ubuntu: want debian, layers-40'],
    [['--cuont', '3'], "Unknown option '--cuont'; is --count meant?"],
    [['--count'], "Option '--count <value>' argument missing"],
    [['--count', '-3'], "Option '--count' argument is ambiguous"],
    [['more'], "Unexpected argument 'more'"],
  ])('are refused in one line: %j', (args, message) => {
    expect(() => read(...args)).toThrow(new UsageError(message))
  })

  it('may be operands where it takes some', () => {
    expect(readArguments({ ...program, operands: { value: 'FILE…', help: 'files' } }, ['a', '--quick', 'b']).operands).toEqual([
      'a',
      'b',
    ])
  })

  it('are told with what it does, takes and needs', () => {
    expect(helpOf(program)).toBe(`Usage: npm run thing -- [options]

What it measures.

  takes  a minute
  needs  root; nginx

  --count N              runs (3)
  --runs N               rounds
  --cpus N               CPUs (0.5)
  --mib MIB              size; may be given more than once (64)
  --into own|containerd  where it lands (own)
  --image NAME,…         what is pulled: debian, layers-40 (all)
  --out DIR              where to
  --quick                less of it
  -h, --help             this text

  npm run thing -- --count 1  a look
`)
  })
})

it('a program that must be root says so in one line, and not before what was typed is understood', () => {
  vi.spyOn(process, 'getuid').mockReturnValue(1000)
  vi.spyOn(process, 'exit').mockImplementation((code) => {
    throw new Error(`exit ${code}`)
  })
  const said = vi.spyOn(console, 'error').mockImplementation(() => {})
  const as = (...args: string[]) => {
    vi.spyOn(process, 'argv', 'get').mockReturnValue(['node', 'thing.ts', ...args])
    return () => argumentsOf(program)
  }
  try {
    expect(as('--quick')).toThrow('exit 1')
    expect(said.mock.lastCall).toEqual(['npm run thing: it needs root'])
    expect(as('--count', 'x')).toThrow('exit 2')
    vi.mocked(process.getuid ?? vi.fn()).mockReturnValue(0)
    expect(as('--quick')().values.quick).toBe(true)
  } finally {
    vi.restoreAllMocks()
  }
})

const { scripts } = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')))
/** npm test is vitest's; npm pack itself runs prepack. */
const run = Object.entries(scripts).flatMap(([name, line]) => {
  const file = /^(?:\.\/scripts\/run|node_modules\/\.bin\/node) (\S+)$/.exec(line)?.[1]
  return file === undefined || name === 'test' || name === 'prepack' ? [] : [{ name, file }]
})
/** As scripts/run does it. */
const env = { NODE_COMPILE_CACHE: join(top, 'node_modules/.cache/node-compile'), ...process.env }
const start = (file: string, arg: string) => promisify(execFile)(process.execPath, [join(top, file), arg], { cwd: top, env })

describe.each(run)('npm run $name', ({ name, file }) => {
  // Else it would do here whatever it does.
  it('reads its arguments with the others', () => {
    expect(readFileSync(join(top, file), 'utf8')).toMatch(/^ *(?:const .+ = |.*From\(|\} = )?(?:options|arguments)Of\(/m)
  })

  it('says what it is before it does anything', async () => {
    const { stdout } = await start(file, '--help')
    expect(stdout).toMatch(new RegExp(`^Usage: npm run ${name} -- \\[options\\]`))
  }, 30_000)
})

it('what is not understood is one line, and the exit code 2', async () => {
  const failed: unknown = await start('scripts/check.ts', '--no-such').catch((error: unknown) => error)
  expect(failed).toMatchObject({
    code: 2,
    stdout: '',
    stderr: "npm run check: Unknown option '--no-such'; npm run check -- --help says what there is\n",
  })
})
