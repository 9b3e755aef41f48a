/** What this process may do: the daemon runs as root with the capabilities of its unit. */
import { type Capability, missingCapabilities } from '../sys/capabilities.ts'
import { bad, type Finding, ok, warn } from './finding.ts'

const UNPACKING: readonly Capability[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_MKNOD',
  'CAP_SETFCAP',
  'CAP_SYS_ADMIN',
]
/** For what extractors give up before they start. */
const GIVING_UP: readonly Capability[] = ['CAP_SETUID', 'CAP_SETGID', 'CAP_SETPCAP']

/** `missing` are those of the wanted that are not there. */
export function rightsFindings(
  missing: (wanted: readonly Capability[]) => readonly Capability[] = missingCapabilities,
): readonly Finding[] {
  const needed = missing(UNPACKING)
  const wished = missing(GIVING_UP)
  return [
    needed.length === 0
      ? ok('rights', 'layers can be unpacked with their owners, modes, devices, capabilities and marks')
      : bad('rights', `this process lacks ${needed.join(', ')}; run it as root, or give the service these capabilities`),
    ...(wished.length === 0 || needed.length > 0
      ? []
      : [
          warn(
            'rights',
            `without ${wished.join(', ')} extractors keep rights they do not need; give the service these capabilities`,
          ),
        ]),
  ]
}
