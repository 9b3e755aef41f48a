/** The warden's thread: gives its rights up, then starts extractors and tells how they end. */
import { type ChildProcess, spawn } from 'node:child_process'
import { getCompileCacheDir } from 'node:module'
import { setPriority } from 'node:os'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parentPort, workerData } from 'node:worker_threads'
import { confineThread } from '../sys/confine.ts'
import { usualNice } from '../sys/rank.ts'
import type { Territory } from '../sys/territory.ts'
import { beside } from '../task/beside.ts'
import { compileExtractors } from './compiled.ts'
import type { WardenNews, WardenOrder } from './warden.ts'

/**
 * Compiling beside the one thread that works takes the next extractor's core: V8 gets one thread for that, which is the least (0 would be as
 * many as there are CPUs). Its garbage is small and short-lived: V8's own choice would let the nursery grow to 48 MiB. The system's OpenSSL
 * configuration is out of reach, and hashing needs none. Flags that change what is compiled would make another compile cache than the daemon's.
 */
const FLAGS = ['--disable-sigusr1', '--v8-pool-size=1', '--max-semi-space-size=2', '--openssl-config=/dev/null']
/** How much of what a dying extractor wrote is told. */
const LAST_WORDS = 2_000

const extractor = fileURLToPath(beside(import.meta.url, 'extractor'))
// Node answers with the directory of this very version and these very flags, inside the one it was given.
const versioned = getCompileCacheDir()
const cache = versioned === undefined ? undefined : dirname(versioned)
const territory: Territory = workerData
const children = new Map<number, ChildProcess>()

if (versioned !== undefined) await compileExtractors(versioned)
// Of this thread (0 is the caller, getpriority(2)), and so of the processes it starts.
setPriority(0, usualNice())
tell({ refused: confineThread(cache === undefined ? territory : { ...territory, readable: [...territory.readable, cache] }) })

parentPort?.on('message', (order: WardenOrder) => {
  if ('kill' in order) children.get(order.kill)?.kill('SIGKILL')
  else start(order.start, order.fds)
})

function start(id: number, fds: readonly number[]): void {
  const child = spawn(process.execPath, [...FLAGS, extractor], {
    cwd: '/',
    stdio: ['ignore', 'ignore', 'pipe', ...fds],
    // Nothing of the daemon's: no secrets, no proxies, no options for Node.
    env: {
      ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: cache }),
      ...(process.env.WINDLASS_NO_ISAL === '1' ? { WINDLASS_NO_ISAL: '1' } : {}),
    },
  })
  children.set(id, child)
  let words = ''
  child.stderr?.setEncoding('latin1').on('data', (text: string) => {
    words = (words + text).slice(-LAST_WORDS)
  })
  const end = (how: string): void => {
    if (children.delete(id)) tell({ ended: id, how })
  }
  child.on('error', (error) => end(error.message))
  child.on('close', (code, signal) => end(signal ?? `code ${code}${words === '' ? '' : `: ${JSON.stringify(words)}`}`))
  if (child.pid !== undefined) tell({ started: id, pid: child.pid })
}

function tell(news: WardenNews): void {
  parentPort?.postMessage(news)
}
