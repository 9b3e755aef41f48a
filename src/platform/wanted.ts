/** The platform a caller asks a pull for. */
import { fail } from '../failure/failure.ts'
import type { Platform } from '../oci/oci.ts'
import { parsePlatform } from './platform.ts'

/** As `parsePlatform`, for what can be unpacked here: linux alone. Throws invalid-argument. */
export function wantedPlatform(text: string): Platform {
  const platform = parsePlatform(text)
  if (platform.os === 'linux') return platform
  const reason = 'Windlass unpacks linux images only; want linux/ARCHITECTURE, such as linux/arm64'
  return fail({ kind: 'invalid-argument', what: `platform ${JSON.stringify(text)}`, reason })
}
