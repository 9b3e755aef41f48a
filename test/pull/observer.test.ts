import { expect, test } from 'vitest'
import type { PullEnd, PullObserver } from '../../src/pull/observer.ts'
import { buildImage, buildLayer } from '../support/image.ts'
import { openLab } from './lab.ts'

const layerOf = (content: string) => buildLayer({ tar: [{ name: 'file', content }] })
const caller = (digit: string): string => `00-${digit.repeat(32)}-${digit.repeat(16)}-01`

function recorder() {
  const ends: PullEnd[] = []
  const brought: string[] = []
  const joined: string[] = []
  const begun: (string | undefined)[] = []
  const events: string[] = []
  const observer: PullObserver = {
    begun: ({ traceparent }) => {
      begun.push(traceparent)
      return {
        event: ({ type }) => events.push(type),
        joined: (other) => joined.push(other),
        ended: (end) => ends.push(end),
      }
    },
    brought: ({ blob }, { origin, unpackMs }, isArchive) => {
      expect(unpackMs).toBeGreaterThan(0)
      brought.push(`${origin}${isArchive ? ' archive' : ''} ${blob.size}`)
    },
  }
  return { observer, ends, brought, joined, begun, events }
}

test('a pull is told of once, its callers as they join, its layers as they come', async () => {
  const told = recorder()
  await using lab = await openLab({ observer: told.observer })
  const hold = Promise.withResolvers<void>()
  const layer = layerOf('shared')
  lab.registry.fault = ({ path }) => (path.includes('/blobs/') ? { kind: 'hold', until: hold.promise } : undefined)
  const request = lab.publish('app:1', buildImage({ layers: [layer] }))
  const pulls = [
    lab.pull({ ...request, traceparent: caller('1') }),
    lab.pull({ ...request, traceparent: caller('2') }),
    lab.pull(request),
  ]
  hold.resolve()
  await Promise.all(pulls)
  const { size } = layer.descriptor
  expect(told).toMatchObject({
    begun: [caller('1')],
    joined: [caller('2')],
    events: ['resolved', 'planned', 'room', 'layer', 'sealed', 'done'],
    brought: [`registry ${size}`],
    ends: [{ result: 'pulled', report: { layers: [{ origin: 'registry' }] } }],
  })
})

test('a layer that two images share is told of once, one that is copied as a copy, one that is here not at all', async () => {
  const told = recorder()
  await using lab = await openLab({ observer: told.observer })
  const [base, top] = [layerOf('base'), layerOf('top')]
  const sizes = [base, top].map(({ descriptor }) => descriptor.size)
  const one = lab.publish('one:1', buildImage({ layers: [base] }))
  const other = lab.publish('other:1', buildImage({ layers: [base, top] }))
  await Promise.all([lab.pull(one), lab.pull(other)])
  expect(told.brought.toSorted()).toEqual(sizes.map((size) => `registry ${size}`).toSorted())
  await lab.pull(one)
  // The same layer in another chain.
  await lab.pull(lab.publish('turned:1', buildImage({ layers: [top, base] })))
  expect(told.brought.slice(2).toSorted()).toEqual(sizes.map((size) => `copy ${size}`).toSorted())
  expect(told.ends.map(({ result }) => result)).toEqual(['pulled', 'pulled', 'here', 'pulled'])
})

test('a pull that fails is told of with its kind', async () => {
  const told = recorder()
  await using lab = await openLab({ observer: told.observer })
  const request = lab.publish('app:1', buildImage({ layers: [layerOf('x')] }))
  lab.registry.fault = () => ({ kind: 'status', status: 403 })
  await lab.refusal(request)
  expect(told.ends).toMatchObject([{ result: 'failed', reference: request.reference, report: { failure: { kind: 'denied' } } }])
})
