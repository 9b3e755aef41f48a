import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
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
    [['pull'], 'argument <image> is missing'],
    [['ps', 'a', 'b'], 'ps takes no argument, but was given a, b'],
    [['pull', 'a', 'b'], 'pull takes at most 1, but was given 2: a, b'],
    [['images', '--frob'], "unknown option '--frob'"],
    [['-o', 'xml', 'images'], "argument 'xml' is not known; want one of table, json, yaml"],
    [['passthrough', 'onn'], "'onn' is not known; want one of on, off, status"],
    // Nothing is made for a look.
    [['plan', 'x', '--root', '/gone/from/here'], 'no such root'],
    [['images', '--root', 'r', '--socket', 's'], 'not both'],
    [['ps', '--root', 'r'], 'this command asks a daemon'],
    [['pull', 'x', '--root', 'r', '--creds', 'nocolon'], 'invalid --creds: want user:password'],
    [['pull', 'x', '--root', 'r', '--platform', 'windows/amd64'], 'unpacks linux images only'],
    [['pull', 'x', '--root', 'r', '--json', '-o', 'yaml'], 'give it or -o yaml, not both'],
    [['images', '--hosts-dir', '/tmp'], 'the daemon reads its own'],
    [['images', '--root', 'r', '--hosts-dir', '/gone/from/here'], 'there is no such directory'],
    [['serve', '--hosts-dir', '/tmp:/gone/from/here'], 'invalid --hosts-dir "/gone/from/here"'],
    [['images', '--root', '/etc/passwd'], '/etc/passwd is no directory'],
    [['serve', '--root', '/etc/passwd'], '/etc/passwd is no directory'],
    [['pull', 'x', '--root', '/etc/passwd/below'], '/etc/passwd is no directory'],
    [['pull', 'x', '--root', '/proc/sys/kernel/r'], 'choose another --root'],
    [['images', '--socket', 'tcp://127.0.0.1:1'], 'want a unix socket'],
    [['unmount', '/gone/from/here'], 'there is no such directory'],
    [['help', 'frobnicate'], "unknown command 'frobnicate'"],
    [['help', 'imags'], '(Did you mean images?)'],
    [['prune'], '(Did you mean gc?)'],
    [['logs'], '(Did you mean journalctl -u windlass, or history?)'],
    [['help', 'rm'], '(Did you mean rmi?)'],
  ])('%j: exit code 2, the reason on stderr, nothing on stdout', async (args, reason) => {
    const { code, stdout, stderr } = await windlass(args, depsWith())
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^windlass: /)
    expect(stderr).toContain(reason)
  })

  test.each([
    [['frobnicate'], 'windlass --help'],
    [['pull', '--frob'], 'windlass pull --help'],
  ])('%j: where it is explained', async (args, hint) => {
    expect((await windlass(args, depsWith())).stderr).toContain(`(${hint} `)
  })

  test.each<[string[], Record<string, string>, string]>([
    [
      ['images'],
      { WINDLASS_ROOT: '/r', WINDLASS_SOCKET: '/s' },
      'set WINDLASS_ROOT to work on a root of your own, or WINDLASS_SOCKET',
    ],
    [['ps'], { WINDLASS_ROOT: '/r' }, 'invalid WINDLASS_ROOT: this command asks a daemon'],
    [['images'], { WINDLASS_ROOT: '/gone/from/here' }, 'no such root'],
    [['images', '--root', '/gone/from/here'], { WINDLASS_SOCKET: '/s' }, 'no such root'],
  ])('%j with %j in the environment', async (args, env, reason) => {
    const { code, stderr } = await windlass(args, depsWith(), { env })
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(reason) })
  })

  test('a socket on the command line wins over a root in the environment', async () => {
    const socket = join(temporary.path, 'none.sock')
    const { code, stderr } = await windlass(['images', '--socket', socket], depsWith(), { env: { WINDLASS_ROOT: '/r' } })
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(`no daemon answers on ${socket}`) })
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
    'queue',
    'wait',
    'check',
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
    const serve = (await windlass(['serve', '--help'], depsWith())).stdout
    expect(serve).toContain('/run/windlass/windlass.sock')
    expect(serve).toMatch(/crictl uses it with:\n.*unix:/)
    expect(serve).not.toContain('--image-service-endpoint')
    for (const way of [
      ['help', 'serve'],
      ['serve', '-h'],
    ])
      expect((await windlass(way, depsWith())).stdout).toBe(serve)
    expect(await windlass(['help'], depsWith())).toMatchObject({ code: 0, stdout, stderr: '' })
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

  test('config refuses a bad file with line and field of all that is wrong', async () => {
    const file = join(temporary.path, 'bad.yaml')
    writeFileSync(file, 'apiVersion: windlass.dev/v1alpha1\nkind: WindlassConfiguration\nrootdir: /x\nkeepBlobs: 1\n')
    const { code, stdout, stderr } = await windlass(['config', '--config', file], depsWith())
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr.split('\n')).toEqual([
      `windlass: ${file}:3: rootdir: unknown key; perhaps rootDir is meant`,
      expect.stringMatching(`^windlass: ${file}:4: keepBlobs: want boolean`),
      '',
    ])
  })

  test('config warns of what has no effect', async () => {
    const file = join(temporary.path, 'warn.yaml')
    writeFileSync(file, 'apiVersion: windlass.dev/v1alpha1\nkind: WindlassConfiguration\nprepull: {minFreePercent: 20}\n')
    const { code, stderr } = await windlass(['-o', 'json', 'config', '--config', file], depsWith())
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('warning: prepull: without listDir') })
  })

  test('version without a daemon', async () => {
    const socket = join(temporary.path, 'none.sock')
    const { code, stdout } = await windlass(['-o', 'json', 'version', '--socket', socket], depsWith())
    const noDaemon = `none answers on ${socket}: no such socket`
    expect({ code, json: JSON.parse(stdout) }).toEqual({ code: 0, json: { version: '1.2.3', node: process.version, noDaemon } })
    expect((await windlass(['version'], depsWith(), { env: { WINDLASS_ROOT: '/r' } })).stdout).toContain('not asked')
  })

  test('version says which of the two it is: nobody there, or not for you', async () => {
    const file = join(temporary.path, 'no-socket')
    writeFileSync(file, '')
    const { stdout } = await windlass(['version', '--socket', file], depsWith())
    expect(stdout).toMatch(/^daemon +none answers on .*: (not a socket|nobody listens on it)$/m)
  })

  test.each(['bash', 'zsh', 'fish'])('completion for %s knows commands and their options', async (shell) => {
    const { code, stdout } = await windlass(['completion', shell], depsWith())
    expect(code).toBe(0)
    expect(stdout).toContain('unmount')
    expect(stdout).toContain('creds-stdin')
  })
})

test('a full output is not blamed on the images', async () => {
  const deps = depsWith()
  const at = terminal()
  const full = Object.assign(new Error('write ENOSPC'), { code: 'ENOSPC', syscall: 'write' })
  const stdout = new Writable({ write: (_chunk, _encoding, done) => done(full) })
  expect(await run(['config'], deps, { ...at.io, stdout })).toBe(1)
  expect(at.stderr()).toBe('windlass: no space left where the output goes (ENOSPC)\n')
})

describe('serve', () => {
  const root = join(temporary.path, 'root')

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
    const ended = run(['serve', '--root', root, '--socket', '/s.sock'], deps, at.io)
    await expect.poll(() => seen).toEqual([root, '/s.sock'])
    at.interrupt('SIGTERM')
    expect(await ended).toBe(0)
    expect(seen).toEqual([root, '/s.sock', 'put away'])
  })

  test.each([
    [
      ['--runtime', 'containred'],
      'invalid --runtime "containred": want auto, containerd, crio or none; perhaps containerd is meant',
    ],
    [['--runtime', 'docker'], 'invalid --runtime "docker": want auto, containerd, crio or none'],
    [['--runtime', ''], 'invalid --runtime "": want auto, containerd, crio or none'],
    [
      ['--runtime-endpoint', 'tcp://127.0.0.1:1'],
      'invalid --runtime-endpoint "tcp://127.0.0.1:1": want a unix socket: /path or unix:///path',
    ],
    [['--runtime-endpoint', 'nonsense'], 'invalid --runtime-endpoint "nonsense": want an absolute path'],
    [['--socket', 'tcp://127.0.0.1:1'], 'invalid --socket "tcp://127.0.0.1:1": want a unix socket: /path or unix:///path'],
  ])('%j starts nothing, whatever the file says', async (flags, reason) => {
    const started: string[] = []
    const deps = depsWith({ serve: async () => void started.push('started') })
    for (const file of ['/not/there', '/dev/null']) {
      const { code, stderr } = await windlass(['serve', '--root', root, '--config', file, ...flags], deps)
      expect({ code, stderr, started }).toEqual({ code: 2, stderr: `windlass: ${reason}\n`, started: [] })
    }
  })

  test('a mistake in the file is left to the daemon, which has a runtime to hand calls to', async () => {
    const file = join(temporary.path, 'mistaken.yaml')
    writeFileSync(file, 'apiVersion: windlass.dev/v1alpha1\nkind: WindlassConfiguration\nruntime: {kind: containred}\n')
    const told: (Error | undefined)[] = []
    const deps = depsWith({ serve: async (_config, { broken }) => void told.push(broken) })
    expect((await windlass(['serve', '--root', root, '--config', file], deps)).code).toBe(0)
    expect(told).toEqual([expect.objectContaining({ message: expect.stringContaining('perhaps containerd is meant') })])
  })

  test('a root in use is a failure, not a usage error', async () => {
    const deps = depsWith({
      serve: async () => {
        throw new WindlassError({ kind: 'root-in-use', root: root, pid: 7 })
      },
    })
    const { code, stderr } = await windlass(['serve', '--root', root], deps)
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `windlass: ${root} is in use by another windlass (pid 7); a daemon is asked with --socket PATH in place of --root; else stop it, or choose another --root\n`,
    })
  })
})

test('an error that carries control characters is printed without them', async () => {
  const deps = depsWith({
    serve: async () => {
      throw new Error('evil \u001b[2J\u009b1m text')
    },
  })
  expect((await windlass(['serve', '--root', join(temporary.path, 'root')], deps)).stderr).toBe(
    'windlass: internal error: evil \\u{1b}[2J\\u{9b}1m text\n',
  )
})
