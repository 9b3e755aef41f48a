import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { createServer } from 'node:net'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { confineThread, UNPACKING } from '../../src/sys/confine.ts'
import { filterFor, forbidden } from '../../src/sys/forbid.ts'
import { AT, cstr, deviceNumber, mknodat, S } from '../../src/sys/libc.ts'
import type { Territory } from '../../src/sys/territory.ts'
import { lacking } from '../integration/lacking.ts'

type Ran = { readonly refused: readonly string[]; readonly stdout: string; readonly stderr: string; readonly status: number }

/** Runs code in a process that a confined thread starts. What the code prints is the answer. */
async function confined(territory: Territory, args: readonly string[]): Promise<Ran> {
  const thread = new Worker(new URL('./confined-thread.ts', import.meta.url), { workerData: { territory, args }, execArgv: [] })
  const [ran] = await once(thread, 'message')
  await thread.terminate()
  return ran
}

const executable = [realpathSync(process.execPath), '/lib', '/lib64', '/usr/lib', '/usr/lib64']
const top = join(import.meta.dirname, '../..')

// Landlock keeps signals inside since Linux 6.12.
const [major = 0, minor = 0] = release().split('.').map(Number)
const scopesSignals = major > 6 || (major === 6 && minor >= 12)

describe.skipIf(lacking('root'))('a confined process', () => {
  it('reaches its own directories, and nothing else: files, programs, network', async () => {
    await using temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-confine-'))
    const [own, other] = [join(temporary.path, 'own'), join(temporary.path, 'other')]
    for (const path of [own, other]) mkdirSync(path)
    writeFileSync(join(other, 'secret'), 'secret')
    chmodSync(other, 0o700)
    const before = statSync(join(other, 'secret'))
    // A layer may bring any device; the null device stands for a disk.
    expect(mknodat(AT.FDCWD, cstr(join(own, 'device')), S.IFCHR | 0o666, deviceNumber(1, 3) ?? 0)).toBe(0)
    await using server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const code = `
      const fs = require('node:fs'), tried = {}
      const attempt = (name, act) => { try { act(); tried[name] = 'done' } catch (error) { tried[name] = error.code } }
      attempt('write inside', () => { fs.mkdirSync('${own}/a'); fs.writeFileSync('${own}/a/b', 'x'); fs.chownSync('${own}/a/b', 1000, 1000) })
      attempt('link inside', () => fs.linkSync('${own}/a/b', '${own}/c'))
      attempt('write outside', () => fs.writeFileSync('${other}/new', 'x'))
      attempt('read outside', () => fs.readFileSync('${other}/secret'))
      attempt('remove outside', () => fs.rmSync('${other}/secret'))
      attempt('change a mode outside', () => fs.chmodSync('${other}/secret', 0o4777))
      attempt('change an owner outside', () => fs.chownSync('${other}/secret', 1000, 1000))
      attempt('change times outside', () => fs.utimesSync('${other}/secret', 1, 1))
      attempt('look outside', () => fs.statSync('/etc/passwd'))
      attempt('change its own program', () => fs.chmodSync(process.execPath, 0o4777))
      attempt('change the null device', () => fs.chmodSync('/dev/null', 0o666))
      attempt('write to it', () => fs.writeFileSync('/dev/null', 'x'))
      attempt('open a device', () => fs.openSync('${own}/device', 'r'))
      attempt('read the environment of its parent', () => fs.readFileSync('/proc/' + process.ppid + '/environ'))
      attempt('run a program', () => { const { error } = require('node:child_process').spawnSync('/bin/true'); if (error) throw error })
      attempt('kill its parent', () => process.kill(process.ppid, 0))
      const socket = require('node:net').connect(${port}, '127.0.0.1')
      const end = (how) => { tried.connect = how; console.log(JSON.stringify(tried)); process.exit() }
      socket.on('connect', () => end('done')).on('error', (error) => end(error.code))`
    const ran = await confined({ writable: [own, '/dev/null'], readable: [], executable }, ['--eval', code])
    expect(ran).toMatchObject({ refused: [], status: 0 })
    expect(JSON.parse(ran.stdout)).toEqual({
      'write inside': 'done',
      'link inside': 'done',
      'write outside': 'ENOENT',
      'read outside': 'ENOENT',
      'remove outside': 'ENOENT',
      // Landlock does not know these four: they have nothing to name.
      'change a mode outside': 'ENOENT',
      'change an owner outside': 'ENOENT',
      'change times outside': 'ENOENT',
      'look outside': 'ENOENT',
      'change its own program': 'EROFS',
      'change the null device': 'EROFS',
      'write to it': 'done',
      'open a device': 'EACCES',
      'read the environment of its parent': 'EACCES',
      'run a program': 'ENOENT',
      'kill its parent': scopesSignals ? 'EPERM' : 'done',
      connect: expect.stringMatching(/EACCES|ENETUNREACH/),
    })
    expect(existsSync(join(other, 'new'))).toBe(false)
    const { mode, uid, mtimeMs } = statSync(join(other, 'secret'))
    expect({ mode, uid, mtimeMs }).toEqual({ mode: before.mode, uid: before.uid, mtimeMs: before.mtimeMs })
    expect(statSync(join(own, 'c')).uid).toBe(1000)
  })

  it('holds exactly the capabilities of unpacking, and cannot get others', async () => {
    const code = `console.log(require('node:fs').readFileSync('/proc/self/status', 'utf8'))`
    const { stdout } = await confined({ writable: ['/dev/null'], readable: ['/proc'], executable }, ['--eval', code])
    const wanted = Object.values(UNPACKING).reduce((sum, capability) => sum | (1n << BigInt(capability)), 0n)
    const sets = ['CapPrm', 'CapEff', 'CapBnd'].map((set) =>
      BigInt(`0x${new RegExp(`^${set}:\\s*(\\w+)`, 'm').exec(stdout)?.[1] ?? '0'}`),
    )
    expect(sets).toEqual([wanted, wanted, wanted])
    expect(stdout).toMatch(/^NoNewPrivs:\s+1$/m)
  })

  it('leaves the rest of this process as it was', () => {
    expect(confineThread).toBeTypeOf('function')
    expect(readFileSync('/proc/self/status', 'utf8')).toMatch(/^NoNewPrivs:\s+0$/m)
    expect(readFileSync('/etc/passwd', 'utf8')).toContain('root')
  })
})

describe('forbidden calls', () => {
  it.skipIf(lacking('root'))('answer EPERM in every thread; others go on', async () => {
    await using temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-forbid-'))
    const file = join(temporary.path, 'forbid.mts')
    writeFileSync(
      file,
      `const { forbidCalls } = await import('${top}/src/sys/forbid.ts')
       const { spawnSync } = await import('node:child_process')
       const { createServer } = await import('node:net')
       const { openSync, readFileSync, readdirSync } = await import('node:fs')
       const { errnoName, wrap } = await import('${top}/src/sys/libc.ts')
       const syscall = wrap('syscall', 'int64', ['int64', 'int64', 'int64', 'void *', 'void *'])
       const { Worker } = await import('node:worker_threads')
       const numbers = process.arch === 'arm64'
         ? { prlimit64: 261, kill: 129, fanotify_init: 262, clone: 220, ioctl: 29, madvise: 233 }
         : { prlimit64: 302, kill: 62, fanotify_init: 300, clone: 56, ioctl: 16, madvise: 28 }
       const syscall3 = (...args) => { const result = wrap('syscall', 'int64', ['int64', 'int64', 'int64', 'int64'])(...args); return result < 0 ? errnoName(result) : 'done' }
       const call = (...args) => { const result = syscall(...args); return result < 0 ? errnoName(result) : 'done' }
       const RLIMIT_CPU = 0
       const result = forbidCalls()
       const limits = [call(numbers.prlimit64, 0, RLIMIT_CPU, null, Buffer.alloc(16)), call(numbers.prlimit64, process.ppid, RLIMIT_CPU, null, Buffer.alloc(16))]
       const others = [call(numbers.kill, process.ppid, 0, null, null), call(numbers.fanotify_init, 0, 0, null, null)]
       // A thread that would share neither memory nor files with this one is a process; its namespaces are not to be had either.
       const CLONE_NEWUSER = 0x10000000, SIGCHLD = 17, CLONE_VM_SIGHAND_THREAD = 0x10900
       const clones = [call(numbers.clone, SIGCHLD, 0, null, null), call(numbers.clone, CLONE_NEWUSER | CLONE_VM_SIGHAND_THREAD, 0, null, null), call(435, 0, 0, null, null)]
       const thread = await new Promise((resolve) => new Worker('', { eval: true }).on('exit', resolve))
       const directory = openSync('/', 'r')
       const FS_IOC_GETFLAGS = 0x80086601, FIONREAD = 0x541b, MADV_HWPOISON = 100
       const asked = [FS_IOC_GETFLAGS, FIONREAD].map((what) => call(numbers.ioctl, directory, what, Buffer.alloc(8), null))
       const poison = syscall3(numbers.madvise, 0, 0, MADV_HWPOISON)
       const run = spawnSync(process.execPath, ['--version']).error?.code
       const listen = await new Promise((resolve) => createServer().on('error', (error) => resolve(error.code)).listen(0, () => resolve('done')))
       const filters = readdirSync('/proc/self/task').map((task) => /^Seccomp:\\s+(\\d)/m.exec(readFileSync('/proc/self/task/' + task + '/status', 'utf8'))?.[1])
       console.log(JSON.stringify({ result, run, listen, limits, others, clones, thread, asked, poison, filters: [...new Set(filters)] }))
       process.exit()`,
    )
    const { spawnSync } = await import('node:child_process')
    const { stdout } = spawnSync(process.execPath, [file], { encoding: 'utf8' })
    expect(JSON.parse(stdout)).toEqual({
      result: 0,
      run: 'EPERM',
      listen: 'EPERM',
      // Its own, and its parent's, who is root as well.
      limits: ['done', 'EPERM'],
      others: ['EPERM', 'EPERM'],
      clones: ['EPERM', 'EPERM', 'ENOSYS'],
      thread: 0,
      // What a file system can be asked is not, what a stream is, is.
      asked: ['EPERM', expect.not.stringMatching('EPERM')],
      poison: 'EPERM',
      filters: ['2'],
    })
  })

  it('are the same on both architectures, but for the four that arm64 lacks', () => {
    const lacks = [57, 58, 172, 173]
    const [x64, arm64] = [forbidden.x64?.calls ?? [], forbidden.arm64?.calls ?? []]
    expect(lacks.every((call) => x64.includes(call))).toBe(true)
    expect(new Set(x64).size).toBe(x64.length)
    expect(new Set(arm64).size).toBe(arm64.length)
    expect(arm64.length).toBe(x64.length - lacks.length)
  })

  it('are decided by a filter whose jumps lead to its two ends', () => {
    const filter = filterFor(
      0xc000003e,
      [1, 2, 3],
      [
        { call: 7, argument: 0, among: [0, 4] },
        { call: 8, argument: 0, none: [99, 100] },
        { call: 9, argument: 0, with: 0x10, without: 0x300 },
        { call: 10, errno: 38 },
        { call: 11, argument: 1, among: [5] },
      ],
    )
    const run = (architecture: number, number: number, first = 0, second = 0): number => {
      const data: Readonly<Record<number, number>> = { 0: number, 4: architecture, 16: first, 24: second }
      let loaded = 0
      for (let at = 0; ; at++) {
        const [code, ifTrue, ifFalse, value] = filter[at] ?? [0x06, 0, 0, -1]
        if (code === 0x06) return value
        if (code === 0x20) loaded = data[value] ?? -1
        else
          at += (code === 0x15 ? loaded === value : code === 0x45 ? (loaded & value) !== 0 : loaded >= value) ? ifTrue : ifFalse
      }
    }
    const [allowed, refused] = [0x7fff0000, 0x00050001]
    expect([0, 4, 500].map((number) => run(0xc000003e, number))).toEqual([allowed, allowed, allowed])
    expect([1, 2, 3, 0x40000000].map((number) => run(0xc000003e, number))).toEqual([refused, refused, refused, refused])
    const decided = (call: number, ...given: number[]) => given.map((argument) => run(0xc000003e, call, argument))
    expect(decided(7, 0, 4, 1)).toEqual([allowed, allowed, refused])
    expect(decided(8, 0, 99, 100)).toEqual([allowed, refused, refused])
    expect(decided(9, 0x10, 0x11, 0, 0x110, 0x300)).toEqual([allowed, allowed, refused, refused, refused])
    expect(decided(10, 0)).toEqual([0x00050026])
    expect([run(0xc000003e, 11, 0, 5), run(0xc000003e, 11, 5, 0)]).toEqual([allowed, refused])
    expect(run(0xc00000b7, 4)).toBe(refused)
  })
})
