import { describe, expect, it } from 'vitest'
import { run } from '../../src/cli/run.ts'
import type { Progress, Proof } from '../../src/prove/prove.ts'
import { type Round, verdictOf } from '../../src/prove/verdict.ts'
import { depsWith, terminal, windlass } from './terminal.ts'

const round = (ours: number, theirs: number): Round => ({
  windlass: { seconds: ours, cpuSeconds: ours },
  containerd: { seconds: theirs, cpuSeconds: theirs * 2 },
})
const proofOf = (rounds: readonly Round[], more: Partial<Proof> = {}): Proof => ({
  reference: 'r.example/app:1',
  platform: 'linux/amd64',
  imageId: 'sha256:1',
  layers: 2,
  bytes: 520e6,
  containerd: { version: '1.6.20', socket: '/run/containerd/containerd.sock' },
  countsContainerd: true,
  rounds,
  verdict: verdictOf(rounds),
  load: { before: 0.2, after: 1.6, cpus: 2 },
  tree: { entries: 7, count: 0, differences: [], directoryTimes: 0 },
  ...more,
})
const depsFor = (proof: Proof) => depsWith({ prove: async () => proof })
const prove = (proof: Proof, ...args: string[]) => windlass([...args, 'prove', 'r.example/app:1'], depsFor(proof))
const faster = [round(2, 6), round(4, 8), round(3, 12)]

describe('windlass prove', () => {
  it('tells each round, medians, how far they are apart, and who was faster in words', async () => {
    const { code, stdout, stderr } = await prove(proofOf(faster))
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toBe(`image      r.example/app:1 linux/amd64, 2 layers, 520 MB
containerd 1.6.20 at /run/containerd/containerd.sock
round 1    windlass 2.00 s (CPU 2.0 s)  containerd 6.00 s (CPU 12.0 s)  3.00 times as long
round 2    windlass 4.00 s (CPU 4.0 s)  containerd 8.00 s (CPU 16.0 s)  2.00 times as long
round 3    windlass 3.00 s (CPU 3.0 s)  containerd 12.00 s (CPU 24.0 s)  4.00 times as long
median     windlass 3.00 s (CPU 3.0 s)  containerd 8.00 s (CPU 16.0 s)  3.00 times as long
verdict    Windlass was faster: containerd took 3.00 times as long; 2.00 to 4.00, round by round
trees      7 entries, the same in both
removed    all that was pulled, and the namespaces
`)
  })

  it('says that Windlass was slower, or that nobody was faster', async () => {
    const slower = await prove(proofOf([round(4, 2), round(5, 4), round(8, 5)]))
    expect(slower.stdout).toContain(
      'verdict    Windlass was slower: it took 1.60 times as long as containerd; 1.25 to 2.00, round by round\n',
    )
    const neither = await prove(proofOf([round(2, 3), round(2, 1), round(2, 2.2)]))
    expect(neither.stdout).toContain('verdict    neither was faster: containerd took 1.10 times as long; 0.50 to 1.50')
  })

  it('warns of what makes figures of little worth: one round, a small image, a busy machine', async () => {
    const { stdout } = await prove(proofOf([round(2, 1)], { bytes: 65.9e6, load: { before: 3.9, after: 4, cpus: 2 } }))
    expect(stdout).toContain('verdict    Windlass was slower: it took 2.00 times as long as containerd\n')
    expect(stdout).toContain('warning    one round does not tell a difference from chance')
    expect(stdout).toContain('warning    65.9 MB is a small image')
    expect(stdout).toContain('warning    the machine was busy before it began, load 3.9 on 2 CPUs')
    expect((await prove(proofOf(faster))).stdout).not.toContain('warning')
  })

  it('says what a directory with another time is', async () => {
    const tree = { entries: 7, count: 0, differences: [], directoryTimes: 1 }
    const { stdout } = await prove(proofOf(faster, { tree }))
    expect(stdout).toContain('7 entries, the same in both, but for the time of a directory that no layer lists')
  })

  it('has the same for programs', async () => {
    const { stdout } = await prove(proofOf(faster, { bytes: 5e6 }), '-o', 'json')
    expect(JSON.parse(stdout)).toMatchObject({
      rounds: faster,
      medians: round(3, 8),
      ratios: [3, 2, 4],
      ratio: 3,
      faster: 'windlass',
      load: { before: 0.2, after: 1.6, cpus: 2 },
      warnings: [expect.stringContaining('5 MB is a small image')],
    })
  })

  it('pulls three times each, unless told otherwise', async () => {
    const asked: number[] = []
    const deps = depsWith({
      prove: async (_config, { rounds }) => {
        asked.push(rounds)
        return proofOf(faster)
      },
    })
    await windlass(['prove', 'app'], deps)
    await windlass(['prove', '--runs', '1', 'app'], deps)
    expect(asked).toEqual([3, 1])
  })

  it('shows on a terminal what is under way', async () => {
    const now: Progress = { doing: 'containerd', at: 2, of: 3, rounds: [round(2, 6)] }
    const at = terminal({ env: { TERM: 'xterm' }, tty: { columns: 120, rows: 24 } })
    const deps = depsWith({
      prove: async (_config, _ask, { onProgress }) => {
        onProgress?.(now)
        return proofOf(faster)
      },
    })
    expect(await run(['prove', 'app'], deps, at.io)).toBe(0)
    expect(at.stderr()).toContain('round 1    windlass 2.00 s')
    expect(at.stderr()).toContain('round 2/3  containerd pulls, 0 s')
  })

  it.each([
    [new Error('stopped'), 'interrupted; everything it made is removed'],
    [
      new SuppressedError(new Error('no containerd'), new Error('stopped'), 'while it was put away'),
      /interrupted; not all that it made is removed \(.*no containerd.*\); the next run removes it/,
    ],
  ])('says what became of what it made when it is stopped: %s', async (error, words) => {
    const at = terminal()
    const deps = depsWith({
      prove: async () => {
        at.interrupt('SIGINT')
        throw error
      },
    })
    expect(await run(['prove', 'app'], deps, at.io)).toBe(130)
    expect(at.stderr()).toMatch(words)
  })
})
