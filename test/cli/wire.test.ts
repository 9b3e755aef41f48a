import { expect, it } from 'vitest'
import { nothingYet } from '../../src/cli/progress/model.ts'
import { linesFor } from '../../src/cli/progress/report.ts'
import { reportForPeople } from '../../src/cli/pull-report.ts'
import { statusOf } from '../../src/cli/wire.ts'
import { sha256 } from '../../src/oci/digest.ts'
import { formatPlatform } from '../../src/platform/platform.ts'
import type { PullEvent } from '../../src/pull/pull.ts'
import { reportOf } from '../../src/pull/report.ts'

/** What an image's config says is the image's own: here that the window is to have another title, and the screen to be cleared. */
const hostile = { os: 'linux', architecture: 'amd64', osVersion: '\u001b]0;owned\u0007\u001b[2J' }
const descriptor = { mediaType: 'm', digest: sha256('m'), size: 1 }
const resolved: PullEvent = {
  type: 'resolved',
  root: descriptor,
  manifest: descriptor,
  platform: hostile,
  host: 'r.example',
  ms: 1,
  queuedMs: 0,
  tokenMs: 0,
}

it('what an image calls its platform does nothing to a terminal', () => {
  const pulled = { id: '1a2b3c4d', reference: 'r.example/app:1', client: 'cri', startedAt: new Date(0), ms: 1 } as const
  const lines = [...linesFor(resolved, nothingYet), ...reportForPeople(reportOf(pulled, [resolved])).split('\n')]
  expect(lines.join('')).toContain('linux(\\u{1b}]0;owned\\u{7}\\u{1b}[2J)/amd64')
  expect(lines.join('')).not.toMatch(/\p{Cc}/u)
})

it.each([formatPlatform(hostile), 'linux/amd64 or so', 'linux', 'a/b/c/d'])(
  '%j as a platform ends no list of pulls',
  (platform) => {
    const wire = {
      id: '1a2b3c4d',
      reference: 'r.example/app:1',
      platform,
      clients: ['cri'],
      startedAtMs: 0,
      phase: 'pulling',
      layers: [],
    }
    expect(formatPlatform(statusOf(wire).platform)).toContain(platform.toLowerCase())
  },
)
