import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const DEMO = join(import.meta.dirname, '../../demo/demo.ts')

/** Plays the demo below `dir`; `onOutput` sees what it has written so far. */
async function play(
  dir: string,
  onOutput: (text: string, child: ChildProcess) => void = () => {},
): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [DEMO], {
    env: { ...process.env, TMPDIR: dir, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(child, 'exit')
  let [out, err] = ['', '']
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
    onOutput(out, child)
  })
  const [code]: (number | null)[] = await exited
  return { code: code ?? null, out, err }
}

/** Command lines of processes that work below `dir`. */
const processesOn = (dir: string): string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, 'latin1')]
      } catch {
        // It has ended meanwhile.
        return []
      }
    })
    .filter((line) => line.includes(dir))

function expectNothingLeft(dir: string): void {
  expect(readdirSync(dir)).toEqual([])
  expect(processesOn(dir)).toEqual([])
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(dir)
}

it('shows every step, well within a minute, and leaves nothing', async () => {
  await using temp = await mkdtempDisposable(join(tmpdir(), 'windlass-demo-test-'))
  const { code, out, err } = await play(temp.path)
  expect([code, err]).toEqual([0, ''])
  const labels = out.split('\n').map((line) => line.slice(0, 11).trim())
  for (const label of [
    'registry',
    'daemon',
    'pull',
    'layer 3/3',
    'seal',
    'done',
    'again',
    'images',
    'inspecti',
    'hostile',
    's390x',
    'kill -9',
    'removed',
  ]) {
    expect(labels).toContain(label)
  }
  expect(out).not.toContain('\u001b')
  expectNothingLeft(temp.path)
})

it('puts everything away when it is interrupted in the middle of the pull', async () => {
  await using temp = await mkdtempDisposable(join(tmpdir(), 'windlass-demo-test-'))
  const { code, err } = await play(temp.path, (out, child) => {
    if (out.includes('\nplan ')) child.kill('SIGINT')
  })
  expect([code, err.trim()]).toEqual([130, 'interrupted; everything is put away'])
  expectNothingLeft(temp.path)
})

it('puts everything away, and says nothing, when nobody reads on', async () => {
  await using temp = await mkdtempDisposable(join(tmpdir(), 'windlass-demo-test-'))
  const { code, out, err } = await play(temp.path, (text, child) => {
    if (text.includes('\nregistry ')) child.stdout?.destroy()
  })
  expect([code, err]).toEqual([0, ''])
  expect(out).not.toContain('\ndone ')
  expectNothingLeft(temp.path)
})
