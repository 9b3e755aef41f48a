/** A release as a tarball for nodes without Debian's packages, the same bytes each time. */
import { spawnSync } from 'node:child_process'
import { basename, dirname, join } from 'node:path'
import type { Release } from './tree.ts'

/** `tree`'s own name is what it unpacks to. Returns the tarball's name, in `outDir`. */
export function makeTarball(tree: string, outDir: string, { version, processor, seconds }: Release): string {
  const name = `windlass-${version}-linux-${processor}.tar.gz`
  const same = ['--sort=name', '--format=posix', '--pax-option=delete=atime,delete=ctime', `--mtime=@${seconds}`]
  const nobody = ['--owner=0', '--group=0', '--numeric-owner', '--mode=go-w']
  const args = [
    ...same,
    ...nobody,
    '--use-compress-program=gzip -9n',
    '-cf',
    join(outDir, name),
    '-C',
    dirname(tree),
    basename(tree),
  ]
  const { status, error, stderr } = spawnSync('tar', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`tar could not make ${name}: ${error?.message ?? stderr}`, { cause: error })
  return name
}
