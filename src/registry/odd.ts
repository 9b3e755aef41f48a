/** Files are read for every pull: what is odd in one is told once, and again where it has changed. */
import type { RegistryEvent } from './events.ts'
import type { Odd } from './hosts.ts'

export function tellOnce(log: (event: RegistryEvent) => void): Odd {
  // Only the node's owner makes these files: there are no more than that.
  const told = new Map<string, string>()
  return (file, keys) => {
    const found = JSON.stringify(keys)
    if (told.get(file) === found) return
    told.set(file, found)
    for (const key of keys) log({ type: 'unknown-key', file, ...key })
  }
}
