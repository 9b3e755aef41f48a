/** `npm run compile`: the program as JavaScript, in lib/. What npm and releases carry: Node strips no types below node_modules. */
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { optionsOf } from '../options.ts'

export const top = join(import.meta.dirname, '..', '..')

/** Throws where tsc finds anything wrong; what it says is on our own streams. */
export function compile(outDir: string): void {
  rmSync(outDir, { recursive: true, force: true })
  const args = [join(top, 'node_modules/typescript/bin/tsc'), '-p', join(top, 'tsconfig.build.json'), '--outDir', outDir]
  const { status, error } = spawnSync(process.execPath, args, { cwd: top, stdio: 'inherit' })
  if (status !== 0) throw new Error(`tsc could not compile src/ into ${outDir}; see its messages above`, { cause: error })
}

if (import.meta.main) {
  optionsOf({
    command: 'npm run compile',
    about: 'The program as JavaScript, in lib/, which is made anew. npm pack does it by itself.',
    takes: 'seconds',
    options: {},
  })
  compile(join(top, 'lib'))
}
