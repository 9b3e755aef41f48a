/** What containerd's own configuration says of registries beside config_path: mirrors, TLS, headers, logins (its docs/cri/registry.md). */
import { z } from 'zod'
import type { RegistrySettings } from './containerd-config.ts'
import type { ContainerdLogin, ContainerdRegistries } from './runtime.ts'

const text = z.string().default('')
const loginSchema = z.object({ username: text, password: text, auth: text, identitytoken: text })
const tlsSchema = z.object({
  insecure_skip_verify: z.boolean().default(false),
  ca_file: text,
  cert_file: text,
  key_file: text,
})
const headersSchema = z.record(z.string(), z.array(z.string()))
const schema = z.object({
  mirrors: z.record(z.string(), z.object({ endpoint: z.array(z.string()).default([]) })).default({}),
  configs: z.record(z.string(), z.object({ auth: loginSchema.optional(), tls: tlsSchema.optional() })).default({}),
  // Since long deprecated: by URL.
  auths: z.record(z.string(), loginSchema).default({}),
  headers: headersSchema.default({}),
})

const inline = ['mirrors', 'configs', 'auths', 'headers'] as const

/** The tables in use, as people write them: `registry.mirrors`. */
export const inlineTables = (settings: Partial<Record<(typeof inline)[number], object | null | undefined>> | null | undefined) =>
  inline.filter((key) => Object.keys(settings?.[key] ?? {}).length > 0).map((key): string => `registry.${key}`)

/** Undefined where a table is not of containerd's shape. */
export function containerdRegistries(settings: RegistrySettings, file: string): ContainerdRegistries | undefined {
  const { mirrors, configs, auths, headers } = settings
  const given = { mirrors, configs, auths, headers }
  const read = schema.safeParse(Object.fromEntries(Object.entries(given).filter(([, table]) => table != null)))
  if (!read.success) return undefined
  const logins = [
    ...Object.entries(read.data.configs).flatMap(([host, { auth }]) =>
      auth === undefined ? [] : [[host, loginOf(auth)] as const],
    ),
    ...Object.entries(read.data.auths).map(([address, auth]) => [hostIn(address), loginOf(auth)] as const),
  ]
  return {
    file,
    mirrors: Object.fromEntries(Object.entries(read.data.mirrors).map(([name, { endpoint }]) => [name, endpoint])),
    tls: Object.fromEntries(
      Object.entries(read.data.configs).flatMap(([host, { tls }]) => (tls === undefined ? [] : [[host, tlsOf(tls)] as const])),
    ),
    headers: Object.fromEntries(Object.entries(read.data.headers).map(([name, values]) => [name.toLowerCase(), values])),
    logins: Object.fromEntries(logins),
  }
}

const loginOf = ({ identitytoken: identityToken, ...login }: z.output<typeof loginSchema>): ContainerdLogin => ({
  ...login,
  identityToken,
})

const tlsOf = (tls: z.output<typeof tlsSchema>): ContainerdRegistries['tls'][string] => ({
  ca: tls.ca_file === '' ? [] : [tls.ca_file],
  client: tls.cert_file === '' ? [] : [{ cert: tls.cert_file, key: tls.key_file }],
  skipVerify: tls.insecure_skip_verify,
})

const hostIn = (address: string): string => (URL.canParse(address) ? new URL(address).host || address : address)
