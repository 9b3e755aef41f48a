import { expect, it } from 'vitest'
import { createRuntimeService } from '../../src/cri/runtime-service.ts'
import { startDaemon, testServices, unbounded } from '../rpc/daemon.ts'

const signal = unbounded

it('says who it is', async () => {
  await using daemon = await startDaemon(testServices().services)
  expect(await daemon.client.runtime.version({ version: '0.1.0' }, { signal })).toEqual({
    version: '0.1.0',
    runtimeName: 'windlass',
    runtimeVersion: '1.2.3',
    runtimeApiVersion: 'v1',
  })
})

it('says that it runs no pods, where crictl info and a misdirected kubelet look', async () => {
  await using daemon = await startDaemon(testServices().services)
  const { status, info } = await daemon.client.runtime.status({ verbose: true }, { signal })
  const because = { status: false, reason: 'ImageServiceOnly', message: expect.stringContaining('--container-runtime-endpoint') }
  expect(status?.conditions).toEqual([
    { type: 'RuntimeReady', ...because },
    { type: 'NetworkReady', ...because },
  ])
  expect(JSON.parse(info.windlass ?? '')).toEqual({ version: '1.2.3' })
})

it('says where pods are run, beside a runtime', async () => {
  const address = { kind: 'crio', socket: '/run/crio/crio.sock' } as const
  await using daemon = await startDaemon({ ...testServices().services, runtime: createRuntimeService('1.2.3', address) })
  const { status, info } = await daemon.client.runtime.status({ verbose: true }, { signal })
  expect(status?.conditions).toEqual(
    ['RuntimeReady', 'NetworkReady'].map((type) => ({
      type,
      status: false,
      reason: 'ImageServiceOnly',
      message: expect.stringMatching(/here crio: --container-runtime-endpoint=unix:\/\/\/run\/crio\/crio\.sock$/),
    })),
  )
  expect(JSON.parse(info.windlass ?? '')).toEqual({ version: '1.2.3', runtime: address })
  expect(await daemon.client.runtime.version({}, { signal })).toMatchObject({ runtimeName: 'windlass' })
})
