/** windlass.v1 → domain: what is asked for, checked. */
import { wantedPlatform } from '../platform/wanted.ts'
import type { LookRequest } from '../pull/look.ts'
import type { PullRequest } from '../pull/pull.ts'
import { parseReference } from '../reference/parse.ts'
import { type SentCredentials, sentCredentials } from '../registry/credentials.ts'
import type { Credentials } from '../registry/registry.ts'
import type { PlanRequest__Output } from '../rpc/generated/windlass/v1/PlanRequest.ts'

/** Throws invalid-reference, invalid-argument. */
export const pullRequest = ({ reference, credentials, platform }: PlanRequest__Output): PullRequest => ({
  reference: parseReference(reference),
  credentials: credentialsIn(credentials),
  client: 'control',
  ...(platform === '' ? {} : { platform: wantedPlatform(platform) }),
})

export const lookRequest = (name: string, credentials: SentCredentials | null, local: boolean): LookRequest => ({
  name,
  credentials: credentialsIn(credentials),
  local,
})

/** Throws invalid-argument. */
export const credentialsIn = (sent: SentCredentials | null): Credentials =>
  sent === null ? { kind: 'anonymous' } : sentCredentials(sent)
