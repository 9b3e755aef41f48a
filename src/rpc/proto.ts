/** The wire definitions of proto/, loaded once, when first asked for: parsing them takes longer than a short command should. */
import { join, resolve } from 'node:path'
import type { ServiceDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

export type ServiceDefinitions = {
  readonly image: ServiceDefinition
  readonly runtime: ServiceDefinition
  readonly windlass: ServiceDefinition
}

let loaded: ServiceDefinitions | undefined

/** The three services. Conversions are those `scripts/proto.ts` tells the generator. */
export function serviceDefinitions(): ServiceDefinitions {
  loaded ??= load()
  return loaded
}

function load(): ServiceDefinitions {
  const definitions = loadSync(['runtime/v1/api.proto', 'windlass/v1/windlass.proto'], {
    includeDirs: [resolve(join(import.meta.dirname, '../../proto'))],
    keepCase: false,
    longs: Number,
    defaults: true,
    oneofs: true,
  })
  const service = (name: string): ServiceDefinition => {
    const definition = definitions[name]
    // The door between what the loader found and what the generated types say.
    if (definition === undefined || 'format' in definition) throw new Error(`proto/ defines no service ${name}`)
    return definition as ServiceDefinition
  }
  return {
    image: service('runtime.v1.ImageService'),
    runtime: service('runtime.v1.RuntimeService'),
    windlass: service('windlass.v1.Windlass'),
  }
}
