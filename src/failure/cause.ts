/** A failure in a few words, for a column beside the image that it is about; `describe` has the sentence. */
import { describe, type Failure, type HostAttempt } from './failure.ts'

export function causeOf(failure: Failure): string {
  switch (failure.kind) {
    case 'manifest-unknown':
    case 'blob-unknown':
    case 'registry-unavailable':
    case 'access-unconfirmed':
      return saidBy(failure.tried) ?? failure.kind
    case 'unauthorized':
    case 'denied':
      return brief(failure.detail)
    case 'rate-limited':
      return `${failure.host} limits the rate of pulls`
    case 'no-platform':
      return `no image for ${failure.wanted}`
    case 'digest-mismatch':
      return `${failure.what} with the wrong digest from ${failure.from}`
    case 'size-mismatch':
      return `wrong size from ${failure.from}`
    case 'unsupported':
      return `unsupported ${failure.what} ${failure.mediaType}`
    case 'malformed':
      return `malformed ${failure.what}: ${failure.reason}`
    case 'bad-layer':
      return `a layer cannot be unpacked: ${failure.reason}`
    case 'limit':
      return `${failure.what} exceeds the limit of ${failure.limit}`
    case 'no-space':
      return failure.inodes === true ? 'no inodes left' : 'no space left'
    default:
      return describe(failure)
  }
}

/** What one host said as it is, of several each with its name. */
function saidBy(tried: readonly HostAttempt[]): string | undefined {
  const [only, ...more] = tried
  if (only === undefined) return undefined
  if (more.length === 0) return brief(only.result)
  return tried.map(({ host, result }) => `${host}: ${brief(result)}`).join(', ')
}

/** "404 MANIFEST_UNKNOWN" of "404 MANIFEST_UNKNOWN: manifest unknown". */
const brief = (result: string): string => /^\d{3} [A-Z_]+(?=: )/.exec(result)?.[0] ?? result
