import { describe, expect, it } from 'vitest'
import type { Finding } from '../../src/doctor/finding.ts'
import { depsWith, windlass } from './terminal.ts'

const well: Finding = { level: 'ok', about: 'kernel', text: 'overlay mounts' }
const unwell: Finding = { level: 'fail', about: 'disk', text: '/x is full; \u001b[31menlarge it' }
const doubtful: Finding = { level: 'warn', about: 'socket', text: 'no daemon; start it' }
const doctor = (findings: readonly Finding[], ...args: string[]) =>
  windlass([...args, 'doctor'], depsWith({ examine: async () => findings }))

describe('doctor', () => {
  it('shows a line for each finding, and fails where one does', async () => {
    expect(await doctor([well, doubtful])).toEqual({
      code: 0,
      stdout: 'ok    kernel      overlay mounts\nwarn  socket      no daemon; start it\n',
      stderr: '',
    })
    const { code, stdout, stderr } = await doctor([well, unwell])
    expect(code).toBe(1)
    expect(stdout).toContain('FAIL  disk')
    expect(stdout).not.toContain('\u001b')
    expect(stderr).toMatch(/^windlass: /)
  })

  it('has them for programs', async () => {
    const { code, stdout } = await doctor([well, unwell], '-o', 'json')
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toEqual([well, unwell])
  })
})
