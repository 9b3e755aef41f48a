/** The daemon that is crashed again and again, what it had answered before, and whether it still stands by it. */
import { readFileSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Abortable } from '../../src/task/task.ts'
import { eventually } from '../integration/node.ts'
import { descendantsOf } from '../integration/process.ts'
import { startWindlass, type Windlass } from '../integration/windlass.ts'
import type { Fleet, FleetImage } from './fleet.ts'
import type { Tally } from './tally.ts'

export class Victim {
  readonly #dir: string
  readonly #host: string
  readonly #fleet: Fleet
  readonly #tally: Tally
  /** Answered as pulled, and nobody has asked for their removal since. */
  readonly answered = new Set<FleetImage>()
  #running: Windlass | undefined

  /** Everything of the daemon lies below `dir`; the images are at `host`. */
  constructor(dir: string, host: string, fleet: Fleet, tally: Tally) {
    this.#dir = dir
    this.#host = host
    this.#fleet = fleet
    this.#tally = tally
  }

  get windlass(): Windlass {
    if (this.#running === undefined) throw new Error('the daemon is not running')
    return this.#running
  }

  /** Starts it, by a program with its arguments where one is given, and notes how long it took to answer. */
  async start({ signal, wrapper = [] }: Abortable & { readonly wrapper?: readonly string[] }): Promise<void> {
    const begin = performance.now()
    this.#running = await startWindlass(this.#dir, { signal, wrapper })
    if (wrapper.length === 0) this.#tally.readyMs.push(performance.now() - begin)
  }

  get isRunning(): boolean {
    return this.#running !== undefined
  }

  async pull(image: FleetImage, { signal }: Abortable): Promise<void> {
    await this.windlass.cri.image.pullImage({ image: { image: this.#reference(image) } }, { signal })
    this.answered.add(image)
  }

  async remove(image: FleetImage, { signal }: Abortable): Promise<void> {
    // From the question on nobody can say whether it is still there.
    this.answered.delete(image)
    await this.windlass.cri.image.removeImage({ image: { image: this.#reference(image) } }, { signal })
  }

  /** SIGKILL, to it and to whatever it has started; resolves when all of them are gone. */
  async kill(): Promise<void> {
    const { daemon, cri } = this.windlass
    this.#running = undefined
    const all = [daemon.pid, ...descendantsOf(daemon.pid)]
    for (const pid of all) killQuietly(pid)
    await daemon.stop('SIGKILL')
    cri[Symbol.dispose]()
    while (all.some(isAlive)) await delay(5)
  }

  /** While it is down, its database goes, and it has the other records alone to start from. */
  async loseDatabase(): Promise<void> {
    const root = join(this.#dir, 'root')
    for (const name of await readdir(root)) if (name.startsWith('windlass.db')) await rm(join(root, name))
  }

  /** One of the processes that unpack is killed; false if there is none. */
  killExtractor(at: number): boolean {
    const all = descendantsOf(this.windlass.daemon.pid)
    const pid = all[at % all.length]
    if (pid !== undefined) killQuietly(pid)
    return pid !== undefined
  }

  /** Compares every file of every image that it shows, and looks for those it had answered. */
  async check(when: string, { signal }: Abortable): Promise<void> {
    const { cri } = this.windlass
    const { images } = await cri.image.listImages({}, { signal })
    const shown = new Set<string>()
    for (const { repoTags, id } of images) {
      for (const tag of repoTags) shown.add(tag)
      const { overlayDir, layers } = await cri.windlass.inspectImage({ image: id }, { signal })
      this.#tally.images++
      const wrong = layers.flatMap((layer) => this.#fleet.differences(layer.diffId, join(overlayDir, layer.short)))
      if (wrong.length > 0) this.#tally.corrupt.push(`${when}: ${repoTags.join(', ')}: ${wrong.length} files, ${wrong[0]}`)
    }
    for (const image of this.answered)
      if (!shown.has(this.#reference(image))) this.#tally.lost.push(`${when}: ${image.name} had been answered as pulled`)
  }

  /** Once nothing is under way, nothing lies in staging or in the trash. */
  async checkLeftovers(when: string, { signal }: Abortable): Promise<void> {
    const left = async (): Promise<string[]> =>
      (await Promise.all(['staging', 'trash'].map((name) => readdir(join(this.windlass.root, name))))).flat()
    await eventually(async () => (await left()).length === 0, { signal }).catch(async () => {
      this.#tally.manual.push(`${when}: left lying: ${(await left()).join(', ')}`)
    })
  }

  #reference({ name }: FleetImage): string {
    return `${this.#host}/${name}:1`
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

/** A zombie has let go of everything it had open; its new parent may take its time to bury it (proc_pid_stat(5)). */
function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat[stat.lastIndexOf(')') + 2] !== 'Z'
  } catch {
    return false
  }
}
