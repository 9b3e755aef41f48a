/**
 * `npm run lock`: package-lock.json after a change of dependencies. npm leaves out an optional package that the registry in use does not
 * offer (another platform's build of biome or rollup, where a mirror holds Linux alone), and `npm ci` then refuses the lockfile. The
 * missing entries are added from what their parents say: version, and platform by name. They are never fetched on the platforms
 * Windlass supports.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { optionsOf } from './options.ts'

optionsOf({
  command: 'npm run lock',
  about: `Writes package-lock.json after a change of dependencies: npm's own, completed by the builds for other platforms that a partial registry
    leaves out.`,
  takes: 'seconds',
  needs: 'npm and its registry',
  options: {},
})

const Entry = z.looseObject({ dev: z.boolean().optional(), optionalDependencies: z.record(z.string(), z.string()).optional() })
const Lock = z.looseObject({ packages: z.record(z.string(), Entry) })

const systems = ['android', 'darwin', 'freebsd', 'linux', 'openbsd', 'netbsd', 'openharmony', 'win32']

/** `@rollup/rollup-linux-x64-musl` → os linux, cpu x64, libc musl. Undefined where the name tells no platform. */
function platformOf(name: string): { os: string[]; cpu: string[]; libc?: string[] } | undefined {
  const words = name.split(/[/-]/)
  const at = words.findIndex((word) => systems.includes(word))
  const [os, cpu] = [words[at], words[at + 1]]
  if (at < 0 || os === undefined || cpu === undefined) return undefined
  const libc = os !== 'linux' ? {} : { libc: [words.some((word) => word.startsWith('musl')) ? 'musl' : 'glibc'] }
  return { os: [os], cpu: [cpu], ...libc }
}

const top = join(import.meta.dirname, '..')
const installed = spawnSync('npm', ['install', '--package-lock-only', '--ignore-scripts'], { cwd: top, stdio: 'inherit' })
if (installed.status !== 0) process.exit(installed.status ?? 1)
const file = join(top, 'package-lock.json')
const lock = Lock.parse(JSON.parse(readFileSync(file, 'utf8')))
const added: string[] = []
for (const parent of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    const path = `node_modules/${name}`
    const platform = platformOf(name)
    if (lock.packages[path] !== undefined || platform === undefined) continue
    lock.packages[path] = { version, ...platform, ...(parent.dev === true ? { dev: true } : {}), optional: true }
    added.push(name)
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)))
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
console.log(added.length === 0 ? 'package-lock.json is complete' : `added ${added.join(', ')}`)
