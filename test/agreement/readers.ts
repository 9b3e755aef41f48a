/** The other readers: Python's tarfile and, where a Go compiler is at hand, Go's archive/tar, each one process for all archives; GNU tar. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { parseListing } from './gnu-listing.ts'
import type { Account, Member } from './member.ts'

export interface Reader extends AsyncDisposable {
  readonly name: 'GNU tar' | 'Python' | 'Go'
  read(archive: Buffer): Promise<Account>
}

const here = import.meta.dirname

export const startPython = (): Reader =>
  listener('Python', spawn('python3', ['-I', join(here, 'read.py')], { stdio: ['pipe', 'pipe', 'inherit'] }))

/** Undefined where there is no Go compiler: it is the arbiter between the other two, but no test may depend on one. */
export function startGo(directory: string): Reader | undefined {
  const program = join(directory, 'read')
  try {
    const env = { ...process.env, GO111MODULE: 'off', GOCACHE: join(directory, 'cache'), CGO_ENABLED: '0' }
    execFileSync('go', ['build', '-o', program, join(here, 'read.go')], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  return listener('Go', spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] }))
}

const hex = z.string().transform((text) => Buffer.from(text, 'hex').toString('latin1'))
const number = z.number().catch(Number.NaN)
const answer = z.object({
  members: z.array(z.tuple([z.string(), hex, hex, number, number, number, number, number, number, number])),
  error: z.string().nullable(),
})
const known = new Set(['file', 'directory', 'symlink', 'hardlink', 'character', 'block', 'fifo'])
const isKnown = (type: string): type is Member['type'] => known.has(type)

function listener(name: 'Python' | 'Go', child: ChildProcess): Reader {
  const { stdin, stdout } = child
  if (stdin === null || stdout === null) throw new Error(`${name} has no pipes`)
  const exited = once(child, 'exit')
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]()
  return {
    name,
    read: async (archive) => {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(archive.length)
      stdin.write(Buffer.concat([length, archive]))
      const line = await lines.next()
      if (line.done === true) throw new Error(`${name} ended`)
      return account(answer.parse(JSON.parse(line.value)))
    },
    [Symbol.asyncDispose]: async () => {
      stdin.end()
      await exited
    },
  }
}

function account({ members, error }: z.infer<typeof answer>): Account {
  const all: Member[] = []
  for (const [type, name, link, size, mode, uid, gid, mtime, major, minor] of members) {
    if (!isKnown(type)) return { members: all, error: `a member of type ${type}` }
    all.push({ type, name, link, size, mode, uid, gid, mtime, major, minor })
  }
  return { members: all, error: error ?? undefined }
}

/** `escape` shows every byte of a name so that it can be told; UTC and the C locale make the rest readable too. */
const LIST = ['--list', '-v', '--numeric-owner', '--quoting-style=escape', '--full-time', '--absolute-names', '--file=-']

export const gnuTar: Reader = {
  name: 'GNU tar',
  read: (archive) =>
    new Promise((resolve, reject) => {
      const env = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' }
      const child = execFile('tar', LIST, { env, encoding: 'latin1', maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
        if (error !== null && typeof error.code !== 'number') reject(error)
        else resolve(parseListing(stdout, error === null ? undefined : stderr.trim()))
      })
      // tar closes its end as soon as it has seen enough.
      child.stdin?.on('error', () => {}).end(archive)
    }),
  [Symbol.asyncDispose]: async () => {},
}
