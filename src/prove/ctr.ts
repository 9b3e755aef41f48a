/** containerd's own client, which comes with every containerd: its pull in a namespace of its own, mounts, and the end of that namespace. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { asWindlassError, fail } from '../failure/failure.ts'
import type { Abortable } from '../task/task.ts'

/** How long what is left may take to go, whatever made us stop. */
const CLEARING_MS = 60_000

export class Ctr {
  readonly #socket: string
  readonly #hostsDir: string | undefined

  /** `hostsDir`: where hosts.toml files are, as its CRI plugin has them. */
  constructor(socket: string, hostsDir: string | undefined) {
    this.#socket = socket
    this.#hostsDir = hostsDir
  }

  namespaces(options: Abortable): Promise<readonly string[]> {
    return this.#lines(undefined, ['namespaces', 'list', '--quiet'], options)
  }

  /** Fetches and unpacks, as its CRI plugin would, with as many downloads at once as there are layers. */
  async pull(namespace: string, reference: string, options: Abortable): Promise<void> {
    const hosts = this.#hostsDir === undefined ? [] : ['--hosts-dir', this.#hostsDir]
    await this.#run(namespace, ['images', 'pull', '--snapshotter', 'overlayfs', ...hosts, reference], options)
  }

  /** Mounts the merged tree of an image, read-only, until it is disposed. */
  async mount(namespace: string, reference: string, target: string, options: Abortable): Promise<AsyncDisposable> {
    await mkdir(target, { recursive: true })
    const undo = async (): Promise<void> => {
      await this.#run(namespace, ['images', 'unmount', '--rm', target], clearing())
    }
    await this.#run(namespace, ['images', 'mount', '--snapshotter', 'overlayfs', reference, target], options)
    return { [Symbol.asyncDispose]: undo }
  }

  /** Takes everything out of a namespace, and the namespace away: what its images and leases held is collected before this returns. */
  async clear(namespace: string): Promise<void> {
    const options = clearing()
    if (!(await this.namespaces(options)).includes(namespace)) return
    const images = await this.#lines(namespace, ['images', 'list', '--quiet'], options)
    if (images.length > 0) await this.#run(namespace, ['images', 'remove', '--sync', ...images], options)
    // One of our own at least: its deletion waits for a collection where nothing else does.
    await this.#run(namespace, ['leases', 'create'], options)
    const leases = await this.#lines(namespace, ['leases', 'list', '--quiet'], options)
    for (const lease of leases) await this.#run(namespace, ['leases', 'delete', '--sync', lease], options)
    await this.#run(undefined, ['namespaces', 'remove', namespace], options)
  }

  async #lines(namespace: string | undefined, args: readonly string[], options: Abortable): Promise<readonly string[]> {
    return (await this.#run(namespace, args, options)).split('\n').filter(Boolean)
  }

  /** Its stdout. Throws system where it is not here, runtime where it fails, cancelled. */
  async #run(namespace: string | undefined, args: readonly string[], { signal }: Abortable): Promise<string> {
    const within = namespace === undefined ? [] : ['--namespace', namespace]
    const child = spawn('ctr', ['--address', this.#socket, ...within, ...args], { stdio: ['ignore', 'pipe', 'pipe'], signal })
    const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
    try {
      const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
      if (code === 0) return stdout
      const detail = stderr.trim().split('\n').at(-1) ?? ''
      const operation = `ctr ${args.slice(0, 2).join(' ')}`
      return fail({ kind: 'runtime', runtime: 'containerd', socket: this.#socket, operation, code: 'UNKNOWN', detail })
    } catch (error) {
      // What it is doing must not go on behind the clearing; one that never started does not close.
      if (child.pid !== undefined) await closed
      throw asWindlassError(signal.aborted ? signal.reason : error)
    }
  }
}

const clearing = (): Abortable => ({ signal: AbortSignal.timeout(CLEARING_MS) })
