/** What is looked at when somebody asks. */
import { Gauge, type Registry } from 'prom-client'
import { type DiskFigures, PREPULL_STATES, type PrepullFigures, type PullCounts } from './metrics.ts'

/** For how long somebody may look. */
export type Patience = { readonly signal: AbortSignal }

export type Looks = {
  readonly pulls: () => PullCounts
  /** Undefined while there is no place for images, or it cannot be told. */
  readonly disk: (options: Patience) => Promise<DiskFigures | undefined>
  /** Layers known to be damaged; undefined where nothing is known of that. */
  readonly damagedLayers: () => number | undefined
  /** Absent where there are no lists of images: then nothing is shown of them. */
  readonly prepull?: () => PrepullFigures
  /** Whether the container runtime listens; absent where there is none. */
  readonly isRuntimeUp?: (options: Patience) => Promise<boolean>
}

/** For looking at the runtime's socket, and at the disk. */
const PATIENCE_MS = 1_000
export const patience = (): Patience => ({ signal: AbortSignal.timeout(PATIENCE_MS) })

export function showWhatIsLookedAt(registry: Registry, { pulls, disk, damagedLayers, prepull, isRuntimeUp }: Looks): void {
  showPulls(registry, pulls)
  if (isRuntimeUp !== undefined) showRuntime(registry, isRuntimeUp)
  showDisk(registry, disk)
  const damaged = new Gauge({
    name: 'windlass_damaged_layers',
    help: 'Layers that a verification found damaged and that no pull has brought again.',
    registers: [registry],
    collect() {
      const count = damagedLayers()
      if (count === undefined) damaged.remove()
      else damaged.set(count)
    },
  })
  if (prepull !== undefined) showLists(registry, prepull)
}

function showPulls(registry: Registry, pulls: () => PullCounts): void {
  new Gauge({
    name: 'windlass_image_pulls_in_progress',
    help: 'Pulls under way.',
    registers: [registry],
    collect() {
      this.set(pulls().inFlight)
    },
  })
  new Gauge({
    name: 'windlass_image_pulls_queued',
    help: 'Those of them that wait for others to end.',
    registers: [registry],
    collect() {
      this.set(pulls().queued)
    },
  })
}

function showRuntime(registry: Registry, isUp: (options: Patience) => Promise<boolean>): void {
  new Gauge({
    name: 'windlass_runtime_up',
    help: '1 while the container runtime listens on its socket: without it nothing is pulled and no call is answered.',
    registers: [registry],
    async collect() {
      this.set((await isUp(patience())) ? 1 : 0)
    },
  })
}

const DISK_GAUGES = [
  ['windlass_image_fs_used_bytes', 'Bytes that images take up on disk.', 'usedBytes'],
  ['windlass_image_fs_size_bytes', 'Size of the file system that images are on.', 'totalBytes'],
  ['windlass_image_fs_available_bytes', 'What of it is free.', 'availableBytes'],
  ['windlass_image_fs_inodes', 'Inodes it has; 0 where it makes them as it needs them.', 'totalInodes'],
  ['windlass_image_fs_inodes_available', 'What of them is free.', 'availableInodes'],
] as const

function showDisk(registry: Registry, disk: Looks['disk']): void {
  // Five gauges of one scrape are about one moment, and one look.
  let looking: Promise<DiskFigures | undefined> | undefined
  const look = (): Promise<DiskFigures | undefined> => {
    looking ??= disk(patience()).finally(() => {
      looking = undefined
    })
    return looking
  }
  for (const [name, help, figure] of DISK_GAUGES) {
    const gauge = new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        const figures = await look()
        // A reset would say 0, which no disk is.
        if (figures === undefined) gauge.remove()
        else gauge.set(figures[figure])
      },
    })
  }
}

function showLists(registry: Registry, figures: () => PrepullFigures): void {
  const registers = [registry]
  new Gauge({
    name: 'windlass_prepull_images',
    help: 'Images that lists declare, by list and state.',
    labelNames: ['list', 'state'],
    registers,
    collect() {
      const { images } = figures()
      // A list that has gone is shown no more.
      this.reset()
      for (const [list, declared] of Map.groupBy(images, (image) => image.list)) {
        const states = Map.groupBy(declared, ({ state }) => state)
        for (const state of PREPULL_STATES) this.set({ list, state }, states.get(state)?.length ?? 0)
      }
    },
  })
  new Gauge({
    name: 'windlass_prepull_list_problems',
    help: 'Files of lists that are not in force as they stand; above 0 the log says which.',
    registers,
    collect() {
      this.set(figures().problems)
    },
  })
}
