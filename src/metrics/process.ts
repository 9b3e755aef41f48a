/** What the daemon's own process takes, and how late its loop is. */
import { readdir } from 'node:fs/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Counter, Gauge, type Registry } from 'prom-client'

/** As often as a timer is looked at: rare enough to let an idle node sleep, often enough to see what a probe would wait for. */
const RESOLUTION_MS = 10
const QUANTILES = [0.5, 0.99, 1] as const

/** Measures from now on, until it is disposed. */
export function measureProcess(registry: Registry): Disposable {
  const registers = [registry]
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  new Gauge({
    name: 'windlass_event_loop_delay_seconds',
    help: 'How late the thread that answers calls came to its timers since this was last asked for, by quantile; 1 is the longest.',
    labelNames: ['quantile'],
    registers,
    collect() {
      for (const quantile of QUANTILES) {
        const between = quantile === 1 ? delay.max : delay.percentile(quantile * 100)
        // Node counts from one look to the next, the time in between included.
        const late = delay.count === 0 ? 0 : Math.max(0, between / 1e6 - RESOLUTION_MS)
        this.set({ quantile }, late / 1000)
      }
      delay.reset()
    },
  })
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'CPU time of the daemon, without the processes that unpack.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage()
      this.reset()
      this.inc((user + system) / 1e6)
    },
  })
  new Gauge({
    name: 'process_start_time_seconds',
    help: 'When the daemon started, in seconds since 1970.',
    registers,
  }).set(performance.timeOrigin / 1000)
  new Gauge({
    name: 'process_open_fds',
    help: 'Descriptors the daemon has open.',
    registers,
    async collect() {
      this.set((await readdir('/proc/self/fd')).length)
    },
  })
  new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Resident memory of the daemon, without the processes that unpack.',
    registers,
    collect() {
      this.set(process.memoryUsage.rss())
    },
  })
  new Gauge({
    name: 'nodejs_heap_size_used_bytes',
    help: 'What of it the heap of the thread that answers calls uses.',
    registers,
    collect() {
      this.set(process.memoryUsage().heapUsed)
    },
  })
  return { [Symbol.dispose]: () => void delay.disable() }
}
