import { expect, it } from 'vitest'
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
