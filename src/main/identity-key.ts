/** The key that this node's identities are hashed with: a file in the root that root alone can read. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { failureOf } from '../failure/failure.ts'
import { writeBeside } from '../store/local/durable.ts'
import type { Logger } from './log.ts'

const FILE = 'windlass.identity'
const KEY_BYTES = 32

/** The root's key, made where there is none. Without it receipts of this and of other runs cannot be compared, and pulls go on. */
export function identityKey(root: string, log: Logger): Uint8Array {
  const file = join(root, FILE)
  try {
    const kept = keptIn(file)
    if (kept !== undefined) return kept
    const key = randomBytes(KEY_BYTES)
    using pending = writeBeside(file, key)
    pending.place()
    return key
  } catch (error) {
    log.error(
      { file, failure: failureOf(error) },
      'the key of identities can be neither read nor made; receipts of this run stand alone',
    )
    return randomBytes(KEY_BYTES)
  }
}

function keptIn(file: string): Uint8Array | undefined {
  try {
    const key = readFileSync(file)
    return key.length === KEY_BYTES ? key : undefined
  } catch (error) {
    const failure = failureOf(error)
    if (failure.kind === 'system' && failure.code === 'ENOENT') return undefined
    throw error
  }
}
