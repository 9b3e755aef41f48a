/** A pod as kubelet starts it: through the runtime's CRI, on the node's network, from an image id that its image endpoint gave. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import * as grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { z } from 'zod'

const definitions = loadSync(join(import.meta.dirname, 'pod.proto'), { longs: Number, defaults: true })
const service = definitions['runtime.v1.RuntimeService']

const NODE = 'NODE'
const namespaces = { network: NODE, pid: 'POD', ipc: 'POD' }
const answers = {
  RunPodSandbox: z.object({ podSandboxId: z.string() }),
  CreateContainer: z.object({ containerId: z.string() }),
  ListContainers: z.object({ containers: z.array(z.object({ id: z.string(), imageRef: z.string() })) }),
  ExecSync: z.object({ stdout: z.instanceof(Buffer), stderr: z.instanceof(Buffer), exitCode: z.number() }),
} as const

export interface Pod extends AsyncDisposable {
  /** Creates and starts a container from this image id; its id. */
  container(imageRef: string, command: readonly string[]): Promise<string>
  /** The image id the runtime lists the container with. */
  imageRefOf(container: string): Promise<string>
  /** Runs a command in a container; its stdout. */
  exec(container: string, command: readonly string[]): Promise<string>
}

/** Starts the sandbox; the runtime takes its image from its own configuration. */
export async function runPod(socket: string, dir: string, name: string): Promise<Pod> {
  const client = new grpc.Client(`unix:${socket}`, grpc.credentials.createInsecure(), { 'grpc.default_authority': 'localhost' })
  const call = (method: string, request: object): Promise<unknown> => {
    if (service === undefined || 'format' in service) throw new Error('pod.proto defines no RuntimeService')
    const definition = Object.entries(service).find(([each]) => each === method)?.[1]
    if (definition === undefined) throw new Error(`pod.proto defines no ${method}`)
    return new Promise((resolve, reject) =>
      client.makeUnaryRequest(
        definition.path,
        definition.requestSerialize,
        definition.responseDeserialize,
        request,
        (error, answer) => (error === null ? resolve(answer) : reject(error)),
      ),
    )
  }
  const logs = join(dir, `logs-${name}`)
  await mkdir(logs, { recursive: true })
  const config = {
    metadata: { name, uid: `uid-${name}`, namespace: 'default', attempt: 0 },
    logDirectory: logs,
    linux: { cgroupParent: '/windlass-test', securityContext: { namespaceOptions: namespaces } },
  }
  const { podSandboxId } = answers.RunPodSandbox.parse(await call('RunPodSandbox', { config }))
  let count = 0
  return {
    container: async (imageRef, command) => {
      const request = {
        podSandboxId,
        config: {
          metadata: { name: `${name}-${count++}`, attempt: 0 },
          image: { image: imageRef },
          command,
          logPath: `${count}.log`,
          linux: { securityContext: { namespaceOptions: namespaces } },
        },
        sandboxConfig: config,
      }
      const { containerId } = answers.CreateContainer.parse(await call('CreateContainer', request))
      await call('StartContainer', { containerId })
      return containerId
    },
    imageRefOf: async (container) => {
      const { containers } = answers.ListContainers.parse(await call('ListContainers', {}))
      return containers.find(({ id }) => id === container)?.imageRef ?? ''
    },
    exec: async (containerId, cmd) => {
      const { stdout, stderr, exitCode } = answers.ExecSync.parse(await call('ExecSync', { containerId, cmd, timeout: 10 }))
      if (exitCode !== 0) throw new Error(`${cmd.join(' ')} ended with ${exitCode}: ${stderr}`)
      return stdout.toString()
    },
    [Symbol.asyncDispose]: async () => {
      await call('StopPodSandbox', { podSandboxId })
      await call('RemovePodSandbox', { podSandboxId })
      client.close()
    },
  }
}
