/** The machine that is crashed again and again, what it had answered before, and whether it still stands by it. */

import { descendantsOf } from '../../src/sys/cost.ts'
import type { Abortable } from '../../src/task/task.ts'
import { eventually } from '../integration/node.ts'
import type { Windlass } from '../integration/windlass.ts'
import type { Fleet, FleetImage } from './fleet.ts'
import { killQuietly, type Machine, type Part, type StartOptions } from './machine.ts'
import type { Tally } from './tally.ts'

export class Victim {
  readonly #machine: Machine
  readonly #host: string
  readonly #fleet: Fleet
  readonly #tally: Tally
  /** Answered as pulled, and nobody has asked for their removal since. */
  readonly answered = new Set<FleetImage>()

  /** The images are at `host`. */
  constructor(machine: Machine, host: string, fleet: Fleet, tally: Tally) {
    this.#machine = machine
    this.#host = host
    this.#fleet = fleet
    this.#tally = tally
  }

  get windlass(): Windlass {
    return this.#machine.windlass
  }

  get isRunning(): boolean {
    return this.#machine.isRunning
  }

  /** Starts what does not run, and notes how long it took to answer. */
  async start({ signal, wrapper = [] }: StartOptions): Promise<void> {
    const begin = performance.now()
    await this.#machine.start({ signal, wrapper })
    if (wrapper.length === 0) this.#tally.readyMs.push(performance.now() - begin)
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

  /** SIGKILL, to all of it unless parts are named. */
  async kill(parts: readonly Part[] = this.#machine.parts): Promise<void> {
    await this.#machine.kill(parts)
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
    const { images } = await this.windlass.cri.image.listImages({}, { signal })
    const shown = new Set<string>()
    for (const { repoTags, id } of images) {
      for (const tag of repoTags) shown.add(tag)
      this.#tally.images++
      const wrong = await this.#wrong(id, { signal })
      if (wrong.length > 0) this.#tally.corrupt.push(`${when}: ${repoTags.join(', ')}: ${wrong.length} files, ${wrong[0]}`)
    }
    for (const image of this.answered)
      if (!shown.has(this.#reference(image))) this.#tally.lost.push(`${when}: ${image.name} had been answered as pulled`)
  }

  async #wrong(id: string, options: Abortable): Promise<readonly string[]> {
    const known = this.#fleet.images.find(({ image }) => image.id === id)
    if (known === undefined) return [`${id}: no such image was packed`]
    const diffIds = known.image.layers.map(({ diffId }) => diffId)
    const directories = await this.#machine.layersOf(id, diffIds, options)
    if (directories.length !== diffIds.length) return [`${id}: ${directories.length} layers instead of ${diffIds.length}`]
    return diffIds.flatMap((diffId, at) => this.#fleet.differences(diffId, directories[at] ?? ''))
  }

  /** Once nothing is under way, nothing is left lying. */
  async checkLeftovers(when: string, { signal }: Abortable): Promise<void> {
    const left = (): Promise<readonly string[]> => this.#machine.left({ signal })
    await eventually(async () => (await left()).length === 0, { signal }).catch(async () => {
      this.#tally.manual.push(`${when}: left lying: ${(await left()).join(', ')}`)
    })
  }

  #reference({ name }: FleetImage): string {
    return `${this.#host}/${name}:1`
  }
}
