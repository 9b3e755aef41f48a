/** A daemon's configuration with lists, and the directories it names. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hexOf, sha256 } from '../../src/oci/digest.ts'
import type { BuiltImage } from '../support/image.ts'

export const HEAD = 'apiVersion: windlass.dev/v1alpha1\nkind: '
export const auth = { kind: 'basic', username: 'puller', password: 'pw-of-the-list' } as const

export type Settings = {
  readonly dir: string
  readonly env: { readonly WINDLASS_CONFIG: string }
  /** From now on the list `base` declares these: images, or whole entries. */
  declare(...images: readonly (string | object)[]): void
  /** Gives the list's secret a login for a registry. */
  login(host: string): void
  /** Puts an image into the directory of archives, as an OCI layout. */
  archive(name: string, image: BuiltImage, called?: string): void
}

/** `more` are lines of `prepull:`. */
export function settings(dir: string, more: Readonly<Record<string, unknown>> = {}): Settings {
  const [lists, secrets, archives] = [join(dir, 'lists'), join(dir, 'secrets'), join(dir, 'archives')]
  for (const each of [lists, archives, join(secrets, 'regcred')]) mkdirSync(each, { recursive: true })
  const file = join(dir, 'windlass.yaml')
  const prepull = { listDir: lists, secretsDir: secrets, archiveDir: archives, minFreePercent: 1, ...more }
  writeFileSync(file, `${HEAD}WindlassConfiguration\nprepull: ${JSON.stringify(prepull)}\n`)
  return {
    dir,
    env: { WINDLASS_CONFIG: file },
    declare: (...images) => {
      const entries = images.map((image) => (typeof image === 'string' ? { image } : image))
      const spec = { imagePullSecrets: [{ name: 'regcred' }], images: entries }
      writeFileSync(join(lists, 'base.yaml'), `${HEAD}ImageList\nmetadata: {name: base}\nspec: ${JSON.stringify(spec)}\n`)
    },
    login: (host) => {
      const login = Buffer.from(`${auth.username}:${auth.password}`).toString('base64')
      writeFileSync(join(secrets, 'regcred', '.dockerconfigjson'), JSON.stringify({ auths: { [host]: { auth: login } } }))
    },
    archive: (name, image, called) => writeLayout(join(archives, name), image, called),
  }
}

/** An OCI layout of one image (image-layout.md). */
export function writeLayout(dir: string, image: BuiltImage, called?: string): void {
  mkdirSync(join(dir, 'blobs', 'sha256'), { recursive: true })
  const annotations = called === undefined ? {} : { annotations: { 'io.containerd.image.name': called } }
  writeFileSync(join(dir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  const index = { schemaVersion: 2, manifests: [{ ...image.descriptor, ...annotations }] }
  writeFileSync(join(dir, 'index.json'), JSON.stringify(index))
  for (const blob of [image.bytes, image.config, ...image.layers.map((layer) => layer.blob)])
    writeFileSync(join(dir, 'blobs', 'sha256', hexOf(sha256(blob))), blob)
}
