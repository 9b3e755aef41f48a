/**
 * A caller as kubelet is one, in a process of its own: `probe.ts SOCKET IMAGES FILE` asks for ImageStatus of one image after another, 100
 * times a second whatever the answers take, and once a second for the list of all, until SIGTERM; then it writes to FILE how long each took.
 */
import { writeFileSync } from 'node:fs'
import { connect } from '../../src/rpc/client.ts'
import { tagOf } from '../store/local/stock.ts'

/** In milliseconds. */
export type Answers = { readonly status: readonly number[]; readonly list: readonly number[] }

const STATUS_MS = 10
const LIST_MS = 1000

async function probe(socket: string, images: number, file: string): Promise<void> {
  const { signal } = new AbortController()
  using daemon = await connect(socket, { signal })
  const answers = { status: [] as number[], list: [] as number[] }
  const under = new Set<Promise<void>>()
  const time = (into: number[], call: Promise<unknown>): void => {
    const begun = performance.now()
    const timed = call.then(() => void into.push(performance.now() - begun)).finally(() => under.delete(timed))
    under.add(timed)
  }
  let asked = 0
  const status = setInterval(() => {
    time(answers.status, daemon.image.imageStatus({ image: { image: tagOf(asked++ % images) } }, { signal }))
  }, STATUS_MS)
  const list = setInterval(() => time(answers.list, daemon.image.listImages({}, { signal })), LIST_MS)
  const ended = new Promise<void>((resolve) => process.once('SIGTERM', () => resolve()))
  console.log('ready')
  await ended
  clearInterval(status)
  clearInterval(list)
  await Promise.all(under)
  writeFileSync(file, JSON.stringify(answers))
}

const [socket = '', images, file = ''] = process.argv.slice(2)
await probe(socket, Number(images), file)
