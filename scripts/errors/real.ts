/** Failures as the program itself makes them, so that their words are its own. */
import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../src/config/load.ts'
import { type Failure, type FailureKind, failureOf } from '../../src/failure/failure.ts'

type Of<K extends FailureKind> = Extract<Failure, { kind: K }>

/** What `work` fails with. */
export function failureIn<K extends FailureKind>(kind: K, work: () => unknown): Of<K> {
  try {
    work()
  } catch (error) {
    const failure = failureOf(error)
    if (isOf(failure, kind)) return failure
    throw error
  }
  throw new Error(`this example of ${kind} fails no more`)
}

const isOf = <K extends FailureKind>(failure: Failure, kind: K): failure is Of<K> => failure.kind === kind

/** What is wrong with a configuration of this text, as if it were in the usual place. */
export function badConfig(text: string): Of<'bad-config'> {
  using place = mkdtempDisposableSync(join(tmpdir(), 'windlass-errors-'))
  const file = join(place.path, 'windlass.yaml')
  writeFileSync(file, text)
  const failure = failureIn('bad-config', () => loadConfig({ file, flags: {}, env: {} }))
  return { ...failure, file: '/etc/windlass/windlass.yaml' }
}
