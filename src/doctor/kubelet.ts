/** What kubelet has been told, as far as this machine shows it. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { readRegular } from '../sys/regular.ts'
import { type Finding, ok, warn } from './finding.ts'

/** Where processes are shown, and kubelet's file where its command line names none. */
const PLACES = { proc: '/proc', config: '/var/lib/kubelet/config.yaml' }

/** Of a command line, and of a configuration. */
const MAX_BYTES = 2 ** 20

const configuration = z.object({ imageServiceEndpoint: z.string().optional().catch(undefined) })

/** Nothing where no kubelet is to be seen. */
export function kubeletFindings(socket: string, { proc, config } = PLACES): readonly Finding[] {
  const args = kubeletArguments(proc)
  const file = textOf(flag(args ?? [], '--config') ?? config)
  if (args === undefined && file === undefined) return []
  const endpoint = flag(args ?? [], '--image-service-endpoint') ?? (file === undefined ? undefined : endpointIn(file))
  if (endpoint === undefined || endpoint === '')
    return [warn('kubelet', 'it has no image service endpoint of its own, so its runtime pulls; see deploy/kubelet')]
  return endpoint.replace(/^unix:\/\//, '') === socket
    ? [ok('kubelet', `its images come from ${endpoint}`)]
    : [warn('kubelet', `its images come from ${endpoint}, which is not unix://${socket}; see deploy/kubelet`)]
}

function kubeletArguments(proc: string): readonly string[] | undefined {
  for (const pid of readdirSync(proc).filter((name) => /^\d+$/.test(name))) {
    const words = textOf(join(proc, pid, 'cmdline'))?.split('\0') ?? []
    if (/(?:^|\/)kubelet$/.test(words[0] ?? '')) return words
  }
  return undefined
}

/** As pflag takes it: `--name=value`, `--name value`; the last one counts. */
function flag(args: readonly string[], name: string): string | undefined {
  const at = args.findLastIndex((arg) => arg === name || arg.startsWith(`${name}=`))
  const arg = args[at]
  return arg === name ? args[at + 1] : arg?.slice(name.length + 1)
}

function endpointIn(text: string): string | undefined {
  try {
    return configuration.parse(parse(text, { uniqueKeys: false })).imageServiceEndpoint
  } catch {
    // kubelet itself would not start with it.
    return undefined
  }
}

function textOf(path: string): string | undefined {
  const read = readRegular(path, MAX_BYTES)
  return read.kind === 'read' ? read.bytes.toString() : undefined
}
