import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { run } from '../../src/cli/run.ts'
import { WindlassError } from '../../src/failure/failure.ts'
import { depsWith, terminal, windlass } from './terminal.ts'

const temporary = mkdtempDisposableSync(join(tmpdir(), 'windlass-cli-'))
afterAll(() => temporary.remove())

describe('what is not understood', () => {
  test.each([
    [['frobnicate'], "unknown command 'frobnicate'"],
    [['pull'], "missing required argument 'image'"],
    [['images', '--frob'], "unknown option '--frob'"],
    [['-o', 'xml', 'images'], "argument 'xml' is invalid"],
    [['images', '--root', 'r', '--socket', 's'], 'not both'],
    [['ps', '--root', 'r'], 'this command asks a daemon'],
    [['pull', 'x', '--root', 'r', '--creds', 'nocolon'], 'invalid --creds: want user:password'],
  ])('%j: exit code 2, the reason on stderr, nothing on stdout', async (args, reason) => {
    const { code, stdout, stderr } = await windlass(args, depsWith())
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^windlass: /)
    expect(stderr).toContain(reason)
  })

  test('no command: the help on stderr, exit code 2', async () => {
    const { code, stdout, stderr } = await windlass([], depsWith())
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain('Usage: windlass')
  })

  test('a password is not repeated', async () => {
    const { stderr } = await windlass(['pull', 'x', '--root', 'r', '--creds', ':secret'], depsWith())
    expect(stderr).not.toContain('secret')
  })
})

describe('help', () => {
  const commands = [
    'pull',
    'plan',
    'ps',
    'images',
    'inspect',
    'rmi',
    'mount',
    'bundle',
    'unmount',
    'serve',
    'config',
    'completion',
  ]

  test.each(commands)('%s teaches by example, on stdout', async (command) => {
    const { code, stdout, stderr } = await windlass([command, '--help'], depsWith())
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(new RegExp(`Examples:\\n(.*\\n)*.*windlass .*${command}`))
  })

  test('lists every command, and serve names its defaults', async () => {
    const { stdout } = await windlass(['--help'], depsWith())
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'))
    expect((await windlass(['serve', '--help'], depsWith())).stdout).toContain('/run/windlass/windlass.sock')
  })

  test('has no colours where none are wanted', async () => {
    const tty = { columns: 80, rows: 24 }
    const { stdout } = await windlass(['--help'], depsWith(), { tty, env: { TERM: 'xterm', NO_COLOR: '1' } })
    expect(stdout).not.toContain('\u001b')
  })
})

describe('config and version', () => {
  test('config prints a document that says what is in force', async () => {
    const { code, stdout } = await windlass(['config', '--root', '/r'], depsWith(), { env: { WINDLASS_UNPACK_WORKERS: '3' } })
    expect(code).toBe(0)
    expect(parse(stdout)).toMatchObject({ kind: 'WindlassConfiguration', rootDir: '/r', unpackWorkers: 3 })
  })

  test('config refuses a bad file with line and field, exit code 1', async () => {
    const file = join(temporary.path, 'bad.yaml')
    writeFileSync(file, 'apiVersion: windlass.dev/v1alpha1\nkind: WindlassConfiguration\nrootdir: /x\n')
    const { code, stdout, stderr } = await windlass(['config', '--config', file], depsWith())
    expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: `windlass: ${file}:3: rootdir: unknown key\n` })
  })

  test('config warns of what has no effect', async () => {
    const file = join(temporary.path, 'warn.yaml')
    writeFileSync(file, 'apiVersion: windlass.dev/v1alpha1\nkind: WindlassConfiguration\nmetrics: {bindAddress: ":9477"}\n')
    const { code, stderr } = await windlass(['-o', 'json', 'config', '--config', file], depsWith())
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('warning: metrics: not in this version') })
  })

  test('version without a daemon', async () => {
    const { code, stdout } = await windlass(['-o', 'json', 'version', '--socket', join(temporary.path, 'none.sock')], depsWith())
    expect({ code, json: JSON.parse(stdout) }).toEqual({ code: 0, json: { version: '1.2.3', node: process.version } })
  })

  test.each(['bash', 'zsh', 'fish'])('completion for %s knows commands and their options', async (shell) => {
    const { code, stdout } = await windlass(['completion', shell], depsWith())
    expect(code).toBe(0)
    expect(stdout).toContain('unmount')
    expect(stdout).toContain('creds-stdin')
  })
})

describe('serve', () => {
  test('gets the configuration, and ends well at SIGTERM', async () => {
    const seen: string[] = []
    const deps = depsWith({
      serve: async ({ rootDir, socket }, { signal, onReady }) => {
        seen.push(rootDir, socket.path)
        onReady?.()
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        seen.push('put away')
      },
    })
    const at = terminal()
    const ended = run(['serve', '--root', '/r', '--socket', '/s.sock'], deps, at.io)
    await expect.poll(() => seen).toEqual(['/r', '/s.sock'])
    at.interrupt('SIGTERM')
    expect(await ended).toBe(0)
    expect(seen).toEqual(['/r', '/s.sock', 'put away'])
  })

  test('a root in use is a failure, not a usage error', async () => {
    const deps = depsWith({
      serve: async () => {
        throw new WindlassError({ kind: 'root-in-use', root: '/r', pid: 7 })
      },
    })
    const { code, stderr } = await windlass(['serve', '--root', '/r'], deps)
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'windlass: /r is in use by another windlass (pid 7); stop it, or choose another --root\n',
    })
  })
})

test('an error that carries control characters is printed without them', async () => {
  const deps = depsWith({
    serve: async () => {
      throw new Error('evil \u001b[2J\u009b1m text')
    },
  })
  expect((await windlass(['serve'], deps)).stderr).toBe('windlass: internal error: evil \\u{1b}[2J\\u{9b}1m text\n')
})
