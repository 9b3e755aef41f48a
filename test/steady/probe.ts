/**
 * A caller as kubelet is one, in a process of its own: `probe.ts status SOCKET IMAGES FILE` asks for ImageStatus of one image after another,
 * 100 times a second whatever the answers take; `probe.ts list …` for the list of all, once a second. After SIGTERM it writes to FILE how long
 * each took, in milliseconds. Each by itself: who reads a list of a thousand comes late to everything else.
 */
import { writeFileSync } from 'node:fs'
import { type Connection, connect } from '../../src/rpc/client.ts'
import { tagOf } from '../store/local/stock.ts'

export const ROLES = ['status', 'list'] as const
export type Role = (typeof ROLES)[number]

const PERIOD_MS: Readonly<Record<Role, number>> = { status: 10, list: 1000 }
/** Until then a caller mostly waits for its own code to be compiled. */
const WARM_UP = 50

const { signal } = new AbortController()

function callOf(daemon: Connection, role: Role, images: number): () => Promise<unknown> {
  let asked = 0
  return role === 'list'
    ? () => daemon.image.listImages({}, { signal })
    : () => daemon.image.imageStatus({ image: { image: tagOf(asked++ % images) } }, { signal })
}

async function probe(role: Role, socket: string, images: number, file: string): Promise<void> {
  using daemon = await connect(socket, { signal })
  const call = callOf(daemon, role, images)
  for (let i = 0; i < WARM_UP; i++) await call()
  const took: number[] = []
  const under = new Set<Promise<void>>()
  const timer = setInterval(() => {
    const begun = performance.now()
    const timed = call()
      .then(() => void took.push(performance.now() - begun))
      .finally(() => under.delete(timed))
    under.add(timed)
  }, PERIOD_MS[role])
  const ended = new Promise<void>((resolve) => process.once('SIGTERM', () => resolve()))
  console.log('ready')
  await ended
  clearInterval(timer)
  await Promise.all(under)
  writeFileSync(file, JSON.stringify(took))
}

const [role, socket = '', images, file = ''] = process.argv.slice(2)
if (import.meta.main) await probe(role === 'list' ? 'list' : 'status', socket, Number(images), file)
