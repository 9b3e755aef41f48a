/** Files and programs of a test's own, as a node has them. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

export interface Place extends Disposable {
  readonly path: string
  file(name: string, content: string | object): string
  /** A shell script; `$0.calls` has a line for each call. */
  program(name: string, script: string): string
  /** What a program was called with, one line for each call. */
  calls(name: string): readonly string[]
}

export function place(): Place {
  const path = mkdtempSync(join(tmpdir(), 'windlass-logins-'))
  const file = (name: string, content: string | object): string => {
    const at = join(path, name)
    mkdirSync(dirname(at), { recursive: true })
    writeFileSync(at, typeof content === 'string' ? content : JSON.stringify(content))
    return at
  }
  return {
    path,
    file,
    program: (name, script) => {
      const at = file(name, `#!/bin/sh\ninput=$(cat)\nprintf '%s|%s\\n' "$*" "$input" >> "$0.calls"\n${script}\n`)
      chmodSync(at, 0o755)
      return at
    },
    calls: (name) => {
      try {
        return readFileSync(join(path, `${name}.calls`), 'utf8')
          .trimEnd()
          .split('\n')
      } catch {
        return []
      }
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true }),
  }
}

export const b64 = (text: string): string => Buffer.from(text).toString('base64')
