import { expect, it } from 'vitest'
import { failurePolicyOf } from '../../src/main/services.ts'

it('a pull that fails is never handed to a runtime where the registry itself must let each caller in', () => {
  const policyWith = (recheckAccess: boolean) =>
    failurePolicyOf({ registry: { recheckAccess }, runtime: { failurePolicy: 'Forward' } })
  expect([policyWith(false), policyWith(true)]).toEqual(['Forward', 'Fail'])
})
