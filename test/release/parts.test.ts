/** What goes into a release beside the program: what is inside, under which licences, and the same bytes each time. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempDisposableSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { top } from '../../scripts/release/compile.ts'
import { componentsFor, processorHere, processors } from '../../scripts/release/components.ts'
import { makeDeb } from '../../scripts/release/deb.ts'
import { licencesOf } from '../../scripts/release/licences.ts'
import { sbomOf } from '../../scripts/release/sbom.ts'
import { makeTarball } from '../../scripts/release/tarball.ts'
import { settle } from '../../scripts/release/tree.ts'
import { lacking } from '../integration/lacking.ts'

const seconds = 1_790_000_000
const names = (processor: 'amd64' | 'arm64') => componentsFor(processor).map(({ name }) => name)
const sum = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex')

describe('the components', () => {
  it('are what runs on that processor, and nothing for developers', () => {
    for (const [processor, other] of [['amd64', 'arm64'] as const, ['arm64', 'amd64'] as const]) {
      const all = names(processor)
      expect(all).toEqual(expect.arrayContaining(['koffi', 'zod', processors[processor].node]))
      expect(all.filter((name) => name.startsWith('@koromix/'))).toEqual([`@koromix/koffi-linux-${processors[processor].cpu}`])
      expect(all).not.toContain(processors[other].node)
      expect(all).not.toContain('vitest')
    }
    const manifest = z.object({ dependencies: z.record(z.string(), z.string()) })
    const { dependencies } = manifest.parse(JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')))
    expect(names(processorHere)).toEqual(expect.arrayContaining(Object.keys(dependencies)))
  })

  it('each have a licence text', () => {
    const text = licencesOf(top, processorHere)
    for (const { name, version, license } of componentsFor(processorHere))
      expect(text).toContain(`${name} ${version} (${license})\n`)
    expect(text).toContain('Apache License')
    expect(text).toContain('Copyright Node.js contributors')
  })

  it('are told by the SBOM, with what Node holds', () => {
    const sbom = sbomOf(processorHere, '1.2.3', seconds)
    const document = z
      .object({
        bomFormat: z.literal('CycloneDX'),
        specVersion: z.literal('1.5'),
        metadata: z.object({ timestamp: z.string(), component: z.object({ version: z.string() }) }),
        components: z.array(
          z.object({
            name: z.string(),
            purl: z.string().regex(/^pkg:npm\/(?:%40[\w.-]+\/)?[\w.-]+@\d/),
            hashes: z.tuple([z.object({ alg: z.literal('SHA-512'), content: z.string().regex(/^[0-9a-f]{128}$/) })]),
            licenses: z.tuple([z.object({ license: z.object({ id: z.string() }) })]),
            components: z.array(z.object({ name: z.string(), version: z.string() })).optional(),
          }),
        ),
      })
      .parse(JSON.parse(sbom))
    expect(document.metadata).toEqual({ timestamp: '2026-09-21T14:13:20Z', component: { version: '1.2.3' } })
    expect(document.components.map(({ name }) => name)).toEqual(names(processorHere))
    const node = document.components.find(({ name }) => name === processors[processorHere].node)
    expect(node?.components).toContainEqual({ name: 'openssl', version: process.versions.openssl })
    expect(sbom).not.toMatch(/https?:/)
  })
})

describe('the launcher', () => {
  it('says what to do where npm has left Node out', () => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'windlass-launcher-'))
    mkdirSync(join(dir.path, 'bin'))
    const launcher = join(dir.path, 'bin/windlass')
    cpSync(join(top, 'bin/windlass'), launcher)
    // A Node that is too old stands in the way of one that would do.
    writeFileSync(join(dir.path, 'node'), '#!/bin/sh\necho false\n', { mode: 0o755 })
    const env = { PATH: `${dir.path}:/usr/bin:/bin` }
    const { status, stderr } = spawnSync('sh', [launcher, 'version'], { encoding: 'utf8', env })
    expect([status, stderr]).toEqual([1, expect.stringMatching(/is not installed.*install this package with --include=optional/)])
  })
})

describe.skipIf(lacking('dpkg-deb', 'tar', 'gzip'))('packing', () => {
  /** A small tree with what packages are made of, written at another time by somebody with another umask. */
  const treeIn = (dir: string, time: number, mode: number): string => {
    const tree = join(dir, 'windlass-1.2.3')
    for (const name of ['bin', 'deploy/systemd', 'deploy/debian']) mkdirSync(join(tree, name), { recursive: true })
    const copied = ['systemd/windlass.service', 'systemd/windlass.socket', 'debian/windlass.yaml'].map((name) => `deploy/${name}`)
    for (const name of copied) writeFileSync(join(tree, name), readFileSync(join(top, name)), { mode })
    for (const script of ['postinst', 'prerm', 'postrm'])
      writeFileSync(join(tree, 'deploy/debian', script), readFileSync(join(top, 'deploy/debian', script)), { mode: 0o755 })
    writeFileSync(join(tree, 'LICENSES.txt'), 'licences\n', { mode })
    utimesSync(join(tree, 'LICENSES.txt'), time, time)
    symlinkSync('../LICENSES.txt', join(tree, 'bin/windlass'))
    settle(tree, seconds)
    return tree
  }

  it('gives the same bytes whenever and by whomever it is done', () => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'windlass-release-'))
    const release = { version: '1.2.3', processor: processorHere, seconds }
    const made = [0o600, 0o664].map((mode, at) => {
      const out = join(dir.path, String(at))
      mkdirSync(out)
      const tree = treeIn(join(out, 'tree'), 1_000_000_000 + at, mode)
      return [makeTarball(tree, out, release), makeDeb(tree, out, release, 'xz')].map((name) => [name, sum(join(out, name))])
    })
    expect(made[0]).toEqual(made[1])
    expect(made[0]?.map(([name]) => name)).toEqual([
      `windlass-1.2.3-linux-${processorHere}.tar.gz`,
      `windlass_1.2.3_${processorHere}.deb`,
    ])
  })
})
