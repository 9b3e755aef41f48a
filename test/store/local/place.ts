import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import type { LogLine, StoreLog } from '../../../src/store/common/log.ts'

/** A root below a temporary directory that goes with the scope. */
export function temporaryRoot(): Disposable & { readonly root: string } {
  const top = mkdtempSync(join(os.tmpdir(), 'windlass-store-'))
  return { root: join(top, 'root'), [Symbol.dispose]: () => rmSync(top, { recursive: true, force: true }) }
}

/** A log that remembers. */
export function recordingLog(): StoreLog & { readonly lines: LogLine[] } {
  const lines: LogLine[] = []
  const write = (level: LogLine['level']) => (fields: object, message: string) =>
    void lines.push({ level, message, fields: { ...fields } })
  return { lines, info: write('info'), warn: write('warn'), error: write('error') }
}
