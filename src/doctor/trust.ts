/** Whether certificates of registries can hold here. */
import { getCACertificates } from 'node:tls'
import { bad, type Finding, ok, warn } from './finding.ts'

/** It cannot be earlier than this. */
const BUILT = Date.UTC(2026, 0, 1)

/** A bundle that is there under several names is read as often. */
const authoritiesHere = (): number => new Set(getCACertificates('system')).size

export function trustFindings(authorities = authoritiesHere(), now = Date.now()): readonly Finding[] {
  return [
    ...(now > BUILT
      ? []
      : [
          bad(
            'trust',
            `the clock says ${new Date(now).toISOString()}; certificates will not hold: set it, or start a time service`,
          ),
        ]),
    authorities === 0
      ? warn('trust', 'no certificate authorities of the system are found; apt-get install ca-certificates, or mount /etc/ssl')
      : ok('trust', `${authorities} certificate authorities of the system`),
  ]
}
