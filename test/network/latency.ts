/** One image of many small layers over a link that is late: what was asked, over how many connections, and how long it took. */
import { parseReference } from '../../src/reference/parse.ts'
import { openLab } from '../pull/lab.ts'
import { buildImage, buildLayer } from '../support/image.ts'
import { openLink } from './link.ts'

export type LatePull = {
  readonly seconds: number
  /** Requests by method and what they were for, such as `GET blobs`. */
  readonly requests: Readonly<Record<string, number>>
  readonly connections: number
}

/** Two pulls: one of another image first, so that processes and code are there, then the one that is told. */
export async function pullLate({
  layers,
  roundTripMs,
}: {
  readonly layers: number
  readonly roundTripMs: number
}): Promise<LatePull> {
  await using lab = await openLab()
  await using link = await openLink({ to: lab.registry.host, roundTripMs })
  const pull = async (name: string) => {
    const tars = Array.from({ length: layers }, (_, at) => [{ name: `${name}-${at}`, content: `${name} ${at}` }])
    lab.publish(`${name}:1`, buildImage({ layers: tars.map((tar) => buildLayer({ tar, compression: 'gzip' })) }))
    const reference = parseReference(`${link.host}/${name}:1`)
    await lab.pull({ reference, credentials: { kind: 'anonymous' }, client: 'cli' })
  }
  await pull('warm')
  const [asked, connected, started] = [lab.registry.requests.length, link.connections, performance.now()]
  await pull('late')
  const seconds = (performance.now() - started) / 1000
  const requests: Record<string, number> = {}
  for (const { method, path } of lab.registry.requests.slice(asked)) {
    const name = `${method} ${path.split('/').at(-2)}`
    requests[name] = (requests[name] ?? 0) + 1
  }
  return { seconds, requests, connections: link.connections - connected }
}
