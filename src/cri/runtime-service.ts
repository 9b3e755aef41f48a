/** The two calls of the CRI RuntimeService that clients of an image endpoint make; all others are UNIMPLEMENTED. */
import type { RuntimeHandlers, Service } from '../rpc/services.ts'
import type { RuntimeAddress } from '../runtime/runtime.ts'
import { statusOf } from './status.ts'

/** The version of the kubelet API since there is a CRI; every runtime answers this one. */
const kubeApiVersion = '0.1.0'

const elsewhere = 'containers run in the runtime that --container-runtime-endpoint names'

/**
 * `version` is Windlass's own. `runtime` is the one behind it, if there is one; its answers are not handed on here. Version and Status of
 * a runtime say "I run pods", and a kubelet that took us for one would believe it, get ready, and fail pod by pod with UNIMPLEMENTED. So
 * it is told once, on its node, where to look instead; and crictl -r learns who really answers.
 */
export function createRuntimeService(version: string, runtime?: RuntimeAddress): Service<RuntimeHandlers> {
  const where =
    runtime === undefined
      ? elsewhere
      : `${elsewhere}, here ${runtime.kind}: --container-runtime-endpoint=unix://${runtime.socket}`
  const imagesOnly = { status: false, reason: 'ImageServiceOnly', message: `this endpoint serves images; ${where}` }
  const handlers: RuntimeHandlers = {
    async version() {
      return { version: kubeApiVersion, runtimeName: 'windlass', runtimeVersion: version, runtimeApiVersion: 'v1' }
    },

    // Not ready on purpose.
    async status({ verbose }) {
      const conditions = ['RuntimeReady', 'NetworkReady'].map((type) => ({ type, ...imagesOnly }))
      return { status: { conditions }, ...(verbose ? { info: { windlass: JSON.stringify({ version, runtime }) } } : {}) }
    },
  }
  return { handlers, statusOf }
}
