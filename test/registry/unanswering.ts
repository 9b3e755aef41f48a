/** An address whose connections are never made: its kernel drops what the one who listens does not take. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

const LISTENS = `
  require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () {
    require('node:fs').writeSync(1, this.address().port + '\\n')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  })`

/** More than a backlog of one holds. */
const WAITING = 8

export async function unanswering(): Promise<Disposable & { readonly host: string }> {
  const child = spawn(process.execPath, ['-e', LISTENS], { stdio: ['ignore', 'pipe', 'inherit'] })
  const sockets: Socket[] = []
  try {
    const [port] = await once(createInterface(child.stdout), 'line')
    for (let at = 0; at < WAITING; at++) sockets.push(connect(Number(port), '127.0.0.1').on('error', () => {}))
    // The queue is full once the first of them is in it, and those after it have been sent.
    await once(sockets[0] ?? child, 'connect')
    return {
      host: `127.0.0.1:${port}`,
      [Symbol.dispose]: () => {
        for (const socket of sockets) socket.destroy()
        child.kill('SIGKILL')
      },
    }
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
}
