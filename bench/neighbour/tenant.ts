/**
 * Who shares the disk, as a process of its own: `tenant.ts dirty DIR MIB` keeps a file in memory that is not written yet, `tenant.ts records
 * FILE TIMES` appends small records and syncs each, as etcd does. Both say `ready`, and go on until SIGTERM.
 */
import { closeSync, fdatasyncSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** A record as it was written: when it was begun (ms since the epoch), and how long it took until it was on disk. */
export type Written = readonly [at: number, ms: number]

const MIB = 2 ** 20
const RECORD = Buffer.alloc(2048, 1)
const PERIOD_MS = 10
/** How much of the file is written anew each second, once all of it has been. */
const REWRITTEN_MIB = 64

const now = (): number => performance.timeOrigin + performance.now()

async function stayDirty(file: string, mib: number): Promise<never> {
  const fd = openSync(file, 'w')
  const page = Buffer.alloc(MIB, 2)
  for (let at = 0; at < mib; at++) writeSync(fd, page, 0, MIB, at * MIB)
  process.once('SIGTERM', () => process.exit(0))
  console.log('ready')
  for (let at = 0; ; at = (at + 1) % mib) {
    writeSync(fd, page, 0, MIB, at * MIB)
    await delay(1000 / REWRITTEN_MIB)
  }
}

async function keepRecords(file: string, times: string): Promise<never> {
  const fd = openSync(file, 'a')
  const written: Written[] = []
  process.once('SIGTERM', () => {
    closeSync(fd)
    writeFileSync(times, JSON.stringify(written))
    process.exit(0)
  })
  console.log('ready')
  for (let due = now(); ; ) {
    const begun = now()
    writeSync(fd, RECORD)
    fdatasyncSync(fd)
    const done = now()
    written.push([begun, done - begun])
    // Late by more than one, it goes on from here: those that were missed are missed.
    due = Math.max(due + PERIOD_MS, done - PERIOD_MS)
    await delay(Math.max(0, due - done))
  }
}

const [role, file = '', rest = ''] = process.argv.slice(2)
if (import.meta.main) await (role === 'dirty' ? stayDirty(file, Number(rest)) : keepRecords(file, rest))
