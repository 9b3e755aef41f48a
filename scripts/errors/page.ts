/** docs/errors.md as it must be: every kind of failure with its codes and its words. */
import { statusOf } from '../../src/cri/status.ts'
import type { Failure } from '../../src/failure/failure.ts'
import { meaningOf } from '../../src/failure/meanings.ts'
import { explained, groups } from './kinds.ts'
import { type Signal, signals } from './signals.ts'

const HEAD = `# Errors

Made by \`npm run errors\` from src/failure and scripts/errors; a test holds it to them.

Every failure is one of the kinds below, wherever it is told: kubelet gets a gRPC status (\`crictl\` shows it), \`windlass.v1\` another code with
the same sentence and the kind in the trailer \`windlass-failure\`, the command line a line on stderr and an exit code, the log the kind as
\`failure\`. \`pull --json\` ends with \`{"type":"failed","kind":…,"message":…}\`.

kubelet understands two words, and only under the code \`UNKNOWN\` and at the start of the text: \`RegistryUnavailable\` and
\`SignatureValidationFailed\` become the reason of the pod; any other code is shown as it stands. So nearly everything is \`UNKNOWN\` there, and
the text does the work. Windlass checks no signatures itself: the second word comes from a runtime that a pull was handed to.

Where several hosts were asked (mirrors, then the registry), the text names each with what became of it. Which failures are handed on to the
runtime says [forwarding.md](forwarding.md).
`

export const errorsPage = (): string => [HEAD, fromRegistries(), ...groups.map(section)].join('\n')

function fromRegistries(): string {
  const rows = signals.map((signal) => `| ${saidBy(signal)} | [\`${signal.kind}\`](#${signal.kind}) |`)
  return [
    '## What a registry says, and what that becomes\n',
    '| answer | kind |',
    '| --- | --- |',
    ...rows,
    '| no answer: refused, no such name, no route, a certificate that is not trusted, a timeout | [`registry-unavailable`](#registry-unavailable) |',
    '',
  ].join('\n')
}

function saidBy({ status, code, of, loggedIn }: Signal): string {
  const words = [`${status}`, ...(code === undefined ? [] : [`\`${code}\``])].join(' ')
  return [words, ...(of === 'blob' ? ['for a blob'] : []), ...(loggedIn === true ? ['after a login'] : [])].join(' ')
}

function section([title, kinds]: (typeof groups)[number]): string {
  return [
    `## ${title}\n`,
    ...kinds.flatMap((kind) => {
      const { means, act, examples } = explained[kind]
      return [`### ${kind}\n`, means, '', `**Do:** ${act}\n`, ...examples.flatMap(example)]
    }),
  ].join('\n')
}

function example(failure: Failure): string[] {
  const { control, exit } = meaningOf(failure)
  const { code, message } = statusOf(failure)
  return [`CRI \`${code}\`, windlass.v1 \`${control}\`, exit code ${exit}:\n`, '```text', message, '```', '']
}
