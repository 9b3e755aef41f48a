/** The wire definitions of proto/, loaded when first asked for: parsing them takes longer than a short command should. */
import { join, resolve } from 'node:path'
import type { ServiceDefinition } from '@grpc/grpc-js'
import { loadSync, type PackageDefinition } from '@grpc/proto-loader'

/** Those we serve. */
export type ServiceDefinitions = {
  readonly image: ServiceDefinition
  readonly runtime: ServiceDefinition
  readonly windlass: ServiceDefinition
}

/** Those of containerd's that we call. */
export type ContainerdDefinitions = {
  readonly leases: ServiceDefinition
  readonly content: ServiceDefinition
  readonly snapshots: ServiceDefinition
  readonly images: ServiceDefinition
  readonly containers: ServiceDefinition
}

export const serviceDefinitions = once((): ServiceDefinitions => {
  const service = load('runtime/v1/api.proto', 'windlass/v1/windlass.proto')
  return {
    image: service('runtime.v1.ImageService'),
    runtime: service('runtime.v1.RuntimeService'),
    windlass: service('windlass.v1.Windlass'),
  }
})

export const containerdDefinitions = once((): ContainerdDefinitions => {
  const service = load(...['leases', 'content', 'snapshots', 'images', 'containers'].map((name) => `containerd/v1/${name}.proto`))
  return {
    leases: service('containerd.services.leases.v1.Leases'),
    content: service('containerd.services.content.v1.Content'),
    snapshots: service('containerd.services.snapshots.v1.Snapshots'),
    images: service('containerd.services.images.v1.Images'),
    containers: service('containerd.services.containers.v1.Containers'),
  }
})

/** Conversions are those `scripts/proto.ts` tells the generator. */
function load(...files: readonly string[]): (name: string) => ServiceDefinition {
  const definitions: PackageDefinition = loadSync([...files], {
    includeDirs: [resolve(join(import.meta.dirname, '../../proto'))],
    keepCase: false,
    longs: Number,
    defaults: true,
    oneofs: true,
  })
  return (name) => {
    const definition = definitions[name]
    // The door between what the loader found and what the generated types say.
    if (definition === undefined || 'format' in definition) throw new Error(`proto/ defines no service ${name}`)
    return definition as ServiceDefinition
  }
}

function once<T>(make: () => T): () => T {
  let made: T | undefined
  return () => {
    made ??= make()
    return made
  }
}
