import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { helloElf } from './elf.ts'

const here = process.arch === 'x64' ? 'amd64' : 'arm64'

it('runs on this machine, and its exit code tells whether the file is there', async () => {
  await using temp = await mkdtempDisposable(join(tmpdir(), 'windlass-elf-'))
  const program = join(temp.path, 'hello')
  const marker = join(temp.path, 'marker')
  writeFileSync(program, helloElf(here, { absent: marker }), { mode: 0o755 })
  const absent = spawnSync(program)
  expect([absent.status, absent.stdout.toString()]).toEqual([0, `hello from ${here}\ndeleted file absent\n`])
  writeFileSync(marker, '')
  const present = spawnSync(program)
  expect([present.status, present.stdout.toString()]).toEqual([1, `hello from ${here}\ndeleted file present\n`])
})

it('assembles arm64 as the architecture manual encodes it', () => {
  const elf = helloElf('arm64', { absent: '/gone' })
  const words = Array.from({ length: 25 }, (_, i) => elf.readUInt32LE(120 + 4 * i).toString(16))
  const hello = elf.indexOf('hello from arm64')
  expect(words.slice(0, 2)).toEqual(['d2800808', 'd2800020']) // movz x8, #64; movz x0, #1
  expect(Number.parseInt(words[2] ?? '', 16)).toBe(0x10000001 + (((hello - 128) >> 2) << 5) + (hello & 3) * 2 ** 29) // adr x1, hello
  expect(words[4]).toBe('d4000001') // svc #0
  expect(words.slice(5, 7)).toEqual(['d2800608', '92800c60']) // movz x8, #48; movn x0, #99
  expect(words.slice(10, 12)).toEqual(['b100081f', '540000a1']) // cmn x0, #2; b.ne four instructions on
  expect(words[15]).toBe('14000004') // b over the three of the other verdict
  expect(words.slice(-3)).toEqual(['d2800ba8', 'aa1303e0', 'd4000001']) // movz x8, #93; mov x0, x19; svc #0
})
