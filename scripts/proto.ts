/** `npm run proto`: the types of proto/. A test holds that the committed ones are current. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { argumentsOf } from './options.ts'

const top = resolve(import.meta.dirname, '..')
const generator = join(
  dirname(createRequire(import.meta.url).resolve('@grpc/proto-loader/package.json')),
  'build/bin/proto-loader-gen-types.js',
)
const { operands } = argumentsOf({
  command: 'npm run proto',
  about: 'Types of what is in proto/, written into a directory that is made anew.',
  takes: 'seconds',
  options: {},
  operands: { value: '[DIRECTORY]', help: 'where to (src/rpc/generated)' },
})
const outDir = resolve(operands[0] ?? join(top, 'src/rpc/generated'))

rmSync(outDir, { recursive: true, force: true })
// The same conversions as in src/rpc/proto.ts: what these types promise is what the loader makes.
execFileSync(
  process.execPath,
  [
    generator,
    '--longs=Number',
    '--defaults',
    '--oneofs',
    '--includeComments',
    '--grpcLib=@grpc/grpc-js',
    '--targetFileExtension=.ts',
    '--importFileExtension=.ts',
    `--includeDirs=${join(top, 'proto')}`,
    `--outDir=${outDir}`,
    'runtime/v1/api.proto',
    'windlass/v1/windlass.proto',
    'containerd/v1/leases.proto',
    'containerd/v1/content.proto',
    'containerd/v1/snapshots.proto',
    'containerd/v1/images.proto',
    'containerd/v1/containers.proto',
  ],
  { cwd: top, stdio: ['ignore', 'ignore', 'inherit'] },
)

// The generator heads every file with the absolute path of its source; keep the part that is the same in every checkout.
for (const entry of readdirSync(outDir, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue
  const file = join(entry.parentPath, entry.name)
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll(`// Original file: ${top}/`, '// Original file: '))
}
