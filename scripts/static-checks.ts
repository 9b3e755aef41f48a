/** The checks that need no test to run: style and lint (biome), types (tsc). */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const top = join(import.meta.dirname, '..')

const checks = [
  {
    name: 'biome check',
    script: 'node_modules/@biomejs/biome/bin/biome',
    args: ['check', '--error-on-warnings', '--diagnostic-level=warn'],
  },
  { name: 'tsc --noEmit', script: 'node_modules/typescript/bin/tsc', args: ['--noEmit', '-p', '.'] },
] as const

/** Runs every check, its output on our own streams; returns the names of those that failed. */
export function staticChecks(): { readonly passed: readonly string[]; readonly failed: readonly string[] } {
  const passed: string[] = []
  const failed: string[] = []
  for (const { name, script, args } of checks) {
    console.log(`check      ${name}`)
    const { status, error } = spawnSync(process.execPath, [join(top, script), ...args], { cwd: top, stdio: 'inherit' })
    if (error !== undefined) console.error(`${name}: ${error.message}`)
    ;(status === 0 ? passed : failed).push(name)
  }
  return { passed, failed }
}
