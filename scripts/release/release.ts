/** `npm run release`: what is released, in dist/. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, mkdtempDisposableSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { optionsOf, someOf, text } from '../options.ts'
import { top } from './compile.ts'
import { type Processor, processorHere } from './components.ts'
import { makeDeb } from './deb.ts'
import { makeTarball } from './tarball.ts'
import { copyModules, layOut, versionHere } from './tree.ts'

const PROCESSORS = ['amd64', 'arm64'] as const satisfies readonly Processor[]
const values = optionsOf({
  command: 'npm run release',
  about: `For each processor a tarball, a Debian package and a list of what is inside, and SHA256SUMS over all, in a directory that is made anew.
    SOURCE_DATE_EPOCH dates it, else the last commit: the same commit gives the same bytes.`,
  takes: 'a minute or two',
  needs: 'npm and the network, for the packages of both processors; tar, gzip, dpkg-deb',
  options: {
    arch: someOf(PROCESSORS, 'processors'),
    out: text('DIR', 'where to (dist in the clone)'),
    tree: text('DIR', "nothing but this machine's tree, of the packages that are here, in DIR: for a container image"),
  },
  examples: [['--arch amd64 --out /tmp/windlass-dist', 'one of them, elsewhere']],
})

function dated(): number {
  const said =
    process.env.SOURCE_DATE_EPOCH ?? spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: top, encoding: 'utf8' }).stdout
  const seconds = z.coerce.number().int().positive().safeParse(said?.trim())
  if (!seconds.success) throw new Error('no commit says when this is from; set SOURCE_DATE_EPOCH to seconds since 1970')
  return seconds.data
}

/** What is made for one processor, by name. */
function make(processor: Processor, outDir: string): readonly string[] {
  const release = { version: versionHere(), processor, seconds: dated() }
  using made = mkdtempDisposableSync(join(outDir, '.tree-'))
  const tree = join(made.path, `windlass-${release.version}`)
  layOut(tree, release)
  const sbom = `windlass-${release.version}-linux-${processor}.cdx.json`
  copyFileSync(join(tree, 'sbom.cdx.json'), join(outDir, sbom))
  return [makeTarball(tree, outDir, release), makeDeb(tree, outDir, release, 'xz'), sbom]
}

const sumOf = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex')

if (values.tree !== undefined)
  layOut(resolve(values.tree), { version: versionHere(), processor: processorHere, seconds: dated() }, copyModules)
else {
  const outDir = resolve(values.out ?? join(top, 'dist'))
  rmSync(outDir, { recursive: true, force: true })
  mkdirSync(outDir, { recursive: true })
  const names = (values.arch ?? PROCESSORS).flatMap((processor) => make(processor, outDir))
  const sums = names.toSorted().map((name) => `${sumOf(join(outDir, name))}  ${name}\n`)
  writeFileSync(join(outDir, 'SHA256SUMS'), sums.join(''))
  process.stdout.write(sums.join(''))
}
