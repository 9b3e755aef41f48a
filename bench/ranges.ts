/** `npm run ranges`: what several connections for one layer are worth. */
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempDisposableSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { installMissing, which } from '../scripts/machine.ts'
import { optionsOf, whole } from '../scripts/options.ts'
import { defaults } from '../src/config/config.ts'
import { digestOfHex, sha256 } from '../src/oci/digest.ts'
import { createRegistry } from '../src/registry/client.ts'
import { median } from './figures.ts'

const MB = 1_000_000
const values = optionsOf({
  command: 'npm run ranges',
  about: `What several connections for one layer are worth: a blob from Debian's nginx, which limits each connection (limit_rate), over one
    connection and over as many as the configuration allows by default, in turn; then without a limit.`,
  takes: 'two minutes',
  needs: 'nginx-light, which it installs by apt-get where it is root; the blob in the temporary directory and in memory',
  options: {
    megabytes: whole('MB', 500, 'size of the blob'),
    rate: whole('MB/S', 20, 'what each connection may carry in a second'),
    runs: whole('N', 3, 'times each way, in turn'),
  },
  examples: [['--megabytes 50 --runs 1', 'a look, in seconds']],
})
const SIZE = values.megabytes * MB
/** Bytes a second of each connection. */
const RATE = values.rate * MB
const ROUNDS = values.runs

const nginx = { package: 'nginx-light', shownBy: 'nginx', neededBy: 'a server that limits each connection' }

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** nginx on a directory laid out as a registry's blobs. */
async function startNginx(dir: string, rate: number | undefined): Promise<AsyncDisposable & { readonly host: string }> {
  const port = await freePort()
  const file = join(dir, `nginx-${port}.conf`)
  const limit = rate === undefined ? '' : `limit_rate ${rate};`
  writeFileSync(
    file,
    `daemon off; pid ${dir}/nginx-${port}.pid; error_log stderr crit; worker_processes 1; user root;
events { worker_connections 256; }
http { access_log off; client_body_temp_path ${dir}/body; ${limit}
  server { listen 127.0.0.1:${port}; root ${dir}/www; } }\n`,
  )
  const child = spawn(which('nginx') ?? 'nginx', ['-c', file, '-p', dir], { stdio: ['ignore', 'ignore', 'inherit'] })
  const exited = once(child, 'exit')
  for (let at = 0; at < 200 && child.exitCode === null; at++) {
    if (
      await fetch(`http://127.0.0.1:${port}/`).then(
        () => true,
        () => false,
      )
    )
      break
    await delay(25)
  }
  return {
    host: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM')
      await exited
    },
  }
}

/** Seconds one transfer took, hashed as it came. */
async function fetchOnce(
  host: string,
  blob: { readonly digest: ReturnType<typeof sha256>; readonly size: number },
  perLayer: number,
): Promise<number> {
  await using registry = createRegistry({
    userAgent: 'windlass-bench',
    progressTimeoutMs: 60_000,
    transfers: { ...defaults.registry.transfers, maxConnectionsPerLayer: perLayer },
  })
  const hash = createHash('sha256')
  const repository = registry.connect({ registry: host, repository: 'bench', tag: 'x' }, { kind: 'anonymous' })
  const sink = { write: (chunk: Uint8Array) => void hash.update(chunk) }
  const started = performance.now()
  await repository.fetch({ mediaType: 'application/octet-stream', ...blob }, sink, { signal: AbortSignal.timeout(120_000) })
  if (digestOfHex(hash.digest('hex')) !== blob.digest) throw new Error('the bytes are not the blob')
  return (performance.now() - started) / 1000
}

const obstacle = installMissing([nginx])
if (obstacle !== undefined) throw new Error(obstacle)
using dir = mkdtempDisposableSync(join(tmpdir(), 'windlass-ranges-'))
const bytes = randomBytes(SIZE)
const blob = { digest: sha256(bytes), size: SIZE }
mkdirSync(join(dir.path, 'www/v2/bench/blobs'), { recursive: true })
writeFileSync(join(dir.path, 'www/v2/bench/blobs', blob.digest), bytes)
const most = defaults.registry.transfers.maxConnectionsPerLayer
for (const rate of [RATE, undefined]) {
  await using server = await startNginx(dir.path, rate)
  const [one, several]: [number[], number[]] = [[], []]
  for (let round = 0; round < ROUNDS; round++) {
    one.push(await fetchOnce(server.host, blob, 1))
    several.push(await fetchOnce(server.host, blob, most))
  }
  const [a, b] = [median(one), median(several)]
  const limit = rate === undefined ? 'no limit' : `${rate / MB} MB/s a connection`
  console.log(
    `ranges     ${SIZE / MB} MB, nginx, ${limit}: one connection ${a.toFixed(1)} s, up to ${most}: ${b.toFixed(1)} s, ${(a / b).toFixed(2)} times as fast (medians of ${ROUNDS})`,
  )
}
rmSync(join(dir.path, 'www'), { recursive: true })
