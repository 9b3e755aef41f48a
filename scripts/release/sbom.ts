/** A CycloneDX 1.5 document of a release: the packages of the lockfile, and what Node's binary has built in. */
import { z } from 'zod'
import { type Component, componentsFor, type Processor, processors } from './components.ts'

const purl = (name: string, version: string): string => `pkg:npm/${name.replace('@', '%40')}@${version}`

/** Node names a part of itself without a version where it was built without it; these two are interfaces. */
const nodeParts = (): readonly { readonly name: string; readonly version: string }[] =>
  Object.entries(process.versions)
    .filter(([name, version]) => !['node', 'modules', 'napi'].includes(name) && version !== undefined && version !== '')
    .map(([name, version]) => ({ name, version: z.string().parse(version) }))

/** `seconds` since 1970: the release's own time. Run by the Node that is released. */
export function sbomOf(processor: Processor, version: string, seconds: number): string {
  const root = purl('windlass', version)
  const components = componentsFor(processor)
  return `${JSON.stringify(
    {
      bomFormat: 'CycloneDX',
      specVersion: '1.5',
      version: 1,
      metadata: {
        timestamp: new Date(seconds * 1000).toISOString().replace('.000Z', 'Z'),
        component: {
          'bom-ref': root,
          type: 'application',
          name: 'windlass',
          version,
          purl: root,
          licenses: [{ license: { id: 'Apache-2.0' } }],
          properties: [{ name: 'windlass:architecture', value: processor }],
        },
      },
      components: components.map((component) => described(component, processors[processor].node)),
      dependencies: [{ ref: root, dependsOn: components.map(({ name, version: own }) => purl(name, own)) }],
    },
    null,
    2,
  )}\n`
}

function described({ name, version, license, sha512 }: Component, node: string) {
  const reference = purl(name, version)
  const inside = nodeParts().map((part) => ({ 'bom-ref': `${reference}#${part.name}`, type: 'library', ...part }))
  return {
    'bom-ref': reference,
    type: name === node ? 'application' : 'library',
    name,
    version,
    purl: reference,
    hashes: [{ alg: 'SHA-512', content: sha512 }],
    licenses: [{ license: { id: license } }],
    ...(name === node ? { components: inside } : {}),
  }
}
