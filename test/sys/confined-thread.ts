/** A thread of the confinement's test: confines itself, then runs Node with the code it was given. */
import { spawnSync } from 'node:child_process'
import { parentPort, workerData } from 'node:worker_threads'
import { confineThread } from '../../src/sys/confine.ts'

const { territory, args } = workerData
const refused = confineThread(territory)
const { stdout, stderr, status } = spawnSync(process.execPath, ['--openssl-config=/dev/null', ...args], {
  encoding: 'utf8',
  cwd: '/',
  env: {},
})
parentPort?.postMessage({ refused, stdout, stderr, status })
