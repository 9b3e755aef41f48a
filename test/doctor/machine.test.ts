/** What doctor finds of the machine: rights, kernel, confinement, disk, trust. */
import { chmodSync, mkdirSync, readdirSync, statfsSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { confinementFindings, refusals } from '../../src/doctor/confinement.ts'
import { diskFindings, sameMount, typeFindings } from '../../src/doctor/disk.ts'
import type { Finding } from '../../src/doctor/finding.ts'
import { kernelFindings } from '../../src/doctor/kernel.ts'
import { rightsFindings } from '../../src/doctor/rights.ts'
import { trustFindings } from '../../src/doctor/trust.ts'
import { lacking } from '../integration/lacking.ts'
import { mounted } from '../integration/process.ts'

const temp = () => mkdtempDisposable(join(tmpdir(), 'windlass-doctor-'))
const levels = (findings: readonly Finding[]) => findings.map(({ level }) => level)
const saying = (findings: readonly Finding[], text: string) => findings.find((each) => each.text.includes(text))

describe('rights', () => {
  it('are enough, lack what a layer needs, or what extractors give up with', () => {
    expect(levels(rightsFindings(() => []))).toEqual(['ok'])
    const needed = rightsFindings((wanted) => wanted.filter((each) => each === 'CAP_MKNOD' || each === 'CAP_SETPCAP'))
    expect(needed).toEqual([{ level: 'fail', about: 'rights', text: expect.stringContaining('lacks CAP_MKNOD; run it as root') }])
    const wished = rightsFindings((wanted) => wanted.filter((each) => each === 'CAP_SETPCAP'))
    expect(levels(wished)).toEqual(['ok', 'warn'])
  })
})

describe.skipIf(lacking('root'))('kernel', () => {
  it('can do all of it on a usual file system, and nothing is left behind', async () => {
    await using dir = await temp()
    const findings = kernelFindings(dir.path)
    expect(new Set(levels(findings))).toEqual(new Set(['ok']))
    expect(findings.length).toBe(7)
    expect(readdirSync(dir.path)).toEqual([])
  })

  it('cannot mark directories on a file system without extended attributes', async () => {
    await using dir = await temp()
    using _ramfs = mounted(dir.path, ['-t', 'ramfs', 'ramfs'])
    const findings = kernelFindings(dir.path)
    expect(saying(findings, 'trusted extended attributes')).toMatchObject({
      level: 'fail',
      text: expect.stringContaining('ext4 or xfs'),
    })
    expect(saying(findings, 'whiteouts')).toMatchObject({ level: 'ok' })
    expect(readdirSync(dir.path)).toEqual([])
  })

  it('cannot keep layers on an overlay', async () => {
    await using dir = await temp()
    const at = (name: string) => join(dir.path, name)
    for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(at(name))
    const options = `lowerdir=${at('lower')},upperdir=${at('upper')},workdir=${at('work')}`
    using _overlay = mounted(at('merged'), ['-t', 'overlay', '-o', options, 'overlay'])
    expect(saying(kernelFindings(at('merged')), 'overlay mounts')).toMatchObject({ level: 'fail' })
    expect(saying(diskFindings(at('merged')), 'is on an overlay')).toMatchObject({ level: 'fail' })
  })

  it('cannot be tried where nothing can be made', () => {
    expect(kernelFindings('/proc/self')).toEqual([
      { level: 'fail', about: 'kernel', text: expect.stringContaining('nothing can be tried below /proc/self') },
    ])
  })
})

describe('confinement', () => {
  it.skipIf(lacking('root'))('is tried by a process of its own', async ({ signal }) => {
    expect(await confinementFindings({ signal })).toEqual([
      { level: 'ok', about: 'confinement', text: expect.stringMatching(/Landlock \d+\)$/) },
    ])
    // This one is as free as before.
    expect(await confinementFindings({ signal })).toHaveLength(1)
    expect(readdirSync('/').length).toBeGreaterThan(5)
  })

  it('says what was refused, and what that takes', () => {
    const findings = refusals(['Landlock: ENOSYS', 'seccomp: EINVAL'], -38)
    expect(levels(findings)).toEqual(['warn', 'warn'])
    expect(findings[0]?.text).toContain('Landlock: ENOSYS; Linux 5.19 or newer')
    expect(findings[1]?.text).toContain('seccomp: EINVAL; this kernel, or a sandbox')
  })
})

describe.skipIf(lacking('root'))('disk', () => {
  it('is well where it is private, roomy, and one mount', async () => {
    await using dir = await temp()
    using _tmpfs = mounted(dir.path, ['-t', 'tmpfs', '-o', 'mode=0700', 'tmpfs'])
    for (const name of ['staging', 'overlay', 'trash']) mkdirSync(join(dir.path, name))
    const findings = diskFindings(dir.path)
    expect(levels(findings)).toEqual(['ok', 'ok', 'ok'])
    expect(saying(findings, 'in one mount')).toBeDefined()
    // A root that is not there yet is judged by what it will be made in.
    expect(levels(diskFindings(join(dir.path, 'a/b')))).toEqual(['ok', 'ok'])
  })

  it('is not, where others may enter, it is full, or read-only', async () => {
    await using dir = await temp()
    {
      using _tmpfs = mounted(dir.path, ['-t', 'tmpfs', '-o', 'size=4m,mode=0755', 'tmpfs'])
      chmodSync(dir.path, 0o755)
      expect(saying(diskFindings(dir.path), 'chmod 0700')).toMatchObject({ level: 'warn' })
      const { bavail, bsize } = statfsSync(dir.path)
      writeFileSync(join(dir.path, 'big'), Buffer.alloc(Math.floor(bavail * 0.95) * bsize))
      expect(saying(diskFindings(dir.path), 'remove images, or enlarge it')).toMatchObject({ level: 'warn' })
    }
    using _readOnly = mounted(dir.path, ['-t', 'tmpfs', '-o', 'ro', 'tmpfs'])
    expect(diskFindings(dir.path)).toEqual([{ level: 'fail', about: 'disk', text: expect.stringContaining('read-only') }])
  })

  it('is not, where a rename would cross from mount to mount, though the disk is one', async () => {
    await using dir = await temp()
    const [staging, overlay] = [join(dir.path, 'staging'), join(dir.path, 'overlay')]
    for (const path of [staging, overlay]) mkdirSync(path)
    expect(levels(sameMount([staging, overlay]))).toEqual(['ok'])
    using _bind = mounted(overlay, ['--bind', overlay])
    expect(sameMount([staging, overlay, join(dir.path, 'gone')])).toEqual([
      { level: 'fail', about: 'disk', text: expect.stringContaining(`${overlay}: another mount than ${staging}`) },
    ])
  })
})

it('knows which file systems have been tried', () => {
  expect(levels(typeFindings('/x', { type: 'xfs' }))).toEqual(['ok'])
  expect(levels(typeFindings('/x', { type: 'nfs4' }))).toEqual(['warn'])
})

it('looks at the clock and at who is trusted', () => {
  expect(levels(trustFindings(140))).toEqual(['ok'])
  expect(trustFindings(0)[0]).toMatchObject({ level: 'warn', text: expect.stringContaining('ca-certificates') })
  expect(trustFindings(140, 0)[0]).toMatchObject({ level: 'fail', text: expect.stringContaining('1970-01-01') })
})
