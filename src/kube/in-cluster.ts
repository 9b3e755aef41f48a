/** Who we are in a cluster: what kubelet mounts and sets for a pod's service account. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'

export const SERVICE_ACCOUNT_DIR = '/var/run/secrets/kubernetes.io/serviceaccount'

export type InCluster = {
  readonly origin: string
  /** Files: what is in them rotates. */
  readonly tokenFile: string
  readonly caFile: string
  readonly node: string
}

/** A node's name is a DNS subdomain (RFC 1123). */
const NODE_NAME = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/

/** Or what is missing, and where it would come from. */
export function inCluster(
  env: Readonly<Record<string, string | undefined>>,
  dir: string = SERVICE_ACCOUNT_DIR,
): InCluster | { readonly missing: string } {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443', NODE_NAME: node } = env
  if (!host) return { missing: 'KUBERNETES_SERVICE_HOST is not set: this is no pod' }
  const [tokenFile, caFile] = [join(dir, 'token'), join(dir, 'ca.crt')]
  const lost = [tokenFile, caFile].find((file) => !existsSync(file))
  if (lost !== undefined) return { missing: `${lost} is not there: set automountServiceAccountToken for this pod` }
  if (!node) return { missing: 'NODE_NAME is not set: take it from spec.nodeName by the downward API' }
  if (!NODE_NAME.test(node)) return { missing: `NODE_NAME is ${JSON.stringify(node.slice(0, 100))}, which names no node` }
  const origin = URL.parse(`https://${host.includes(':') ? `[${host}]` : host}:${port}`)?.origin
  if (origin === undefined) return { missing: 'KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are no address' }
  return { origin, tokenFile, caFile, node }
}
