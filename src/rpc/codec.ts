/** One method's messages and their bytes, for handlers that look into some calls and hand on others as they came. */
import { serviceDefinitions } from './proto.ts'
import type { ImageHandlers } from './services.ts'

type Unary = { readonly [M in keyof ImageHandlers]: ImageHandlers[M] extends (...args: never) => Promise<unknown> ? M : never }
export type ImageMethod = Unary[keyof ImageHandlers]

export type Codec<M extends ImageMethod> = {
  request(bytes: Buffer): Parameters<ImageHandlers[M]>[0]
  response(message: Awaited<ReturnType<ImageHandlers[M]>>): Buffer
}

/** The path and the codec of an ImageService method. */
export const imagePath = (method: keyof ImageHandlers): string => definitionOf(method).path

export function imageCodec<M extends ImageMethod>(method: M): Codec<M> {
  const { requestDeserialize, responseSerialize } = definitionOf(method)
  // The loaded definitions meet the generated types, as in client.ts.
  return {
    request: (bytes) => requestDeserialize(bytes) as Parameters<ImageHandlers[M]>[0],
    response: (message) => responseSerialize(message),
  }
}

function definitionOf(method: keyof ImageHandlers) {
  const name = method.charAt(0).toUpperCase() + method.slice(1)
  const definition = serviceDefinitions().image[name]
  if (definition === undefined) throw new Error(`proto/ defines no ImageService.${name}`)
  return definition
}
