import { describe, expect, it } from 'vitest'
import { processorsFor, workersFor } from '../../src/main/workers.ts'

const MIB = 2 ** 20

describe('workers', () => {
  const of = (cpus: number, mib: number, unpackWorkers = 0): number => workersFor({ unpackWorkers }, { cpus, memory: mib * MIB })

  it('are as many as CPUs, two on one, no more than there is memory for, and as many as are asked for', () => {
    expect(of(8, 24_000)).toBe(8)
    expect(of(2, 24_000)).toBe(2)
    expect(of(1, 24_000)).toBe(2)
    expect(of(0.5, 384)).toBe(2)
    expect(of(16, 384)).toBe(2)
    expect(of(16, 100)).toBe(1)
    expect(of(16, 100, 7)).toBe(7)
  })

  it('take no more processors than there are whole ones, nor than there are workers', () => {
    expect(processorsFor(2, { cpus: 0.5 })).toBe(0)
    expect(processorsFor(2, { cpus: 1.9 })).toBe(1)
    expect(processorsFor(8, { cpus: 8 })).toBe(8)
    expect(processorsFor(2, { cpus: 16 })).toBe(2)
  })
})
