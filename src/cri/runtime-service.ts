/** The two calls of the CRI RuntimeService that clients of an image endpoint make; all others are UNIMPLEMENTED. */
import type { RuntimeHandlers, Service } from '../rpc/services.ts'
import { statusOf } from './status.ts'

/** The version of the kubelet API since there is a CRI; every runtime answers this one. */
const kubeApiVersion = '0.1.0'

const imagesOnly = {
  status: false,
  reason: 'ImageServiceOnly',
  message: 'this endpoint serves images; containers run in the runtime that --container-runtime-endpoint names',
}

/** `version` is Windlass's own. */
export function createRuntimeService(version: string): Service<RuntimeHandlers> {
  const handlers: RuntimeHandlers = {
    async version() {
      return { version: kubeApiVersion, runtimeName: 'windlass', runtimeVersion: version, runtimeApiVersion: 'v1' }
    },

    // Not ready on purpose: a kubelet that was given this socket as its runtime says why on its node, instead of failing pod by pod.
    async status({ verbose }) {
      const conditions = ['RuntimeReady', 'NetworkReady'].map((type) => ({ type, ...imagesOnly }))
      return { status: { conditions }, ...(verbose ? { info: { windlass: JSON.stringify({ version }) } } : {}) }
    },
  }
  return { handlers, statusOf }
}
