/** Which keys of a list of logins are for a repository. docker writes hosts and URLs, podman adds paths, Kubernetes wildcards. */
import { DOCKER_HUB, isDockerHub } from '../reference/registry-name.ts'
import type { LoginTarget } from '../registry/registry.ts'

type Pattern = { readonly labels: readonly string[]; readonly port: string; readonly path: readonly string[] }

/** Those that fit, the most specific first: a longer path, then a host without wildcards. */
export function fitting<T>(
  entries: readonly (readonly [key: string, value: T])[],
  target: LoginTarget,
): readonly (readonly [string, T])[] {
  const path = target.repository.split('/')
  const { labels, port } = patternOf(target.registry)
  return entries
    .map(([key, value]) => ({ key, value, pattern: patternOf(key) }))
    .filter(
      ({ pattern }) =>
        pattern.port === port &&
        pattern.labels.length === labels.length &&
        pattern.labels.every((label, at) => isLabel(label, labels[at] ?? '')) &&
        pattern.path.every((part, at) => part === path[at]),
    )
    .toSorted((a, b) => b.pattern.path.length - a.pattern.path.length || wildcards(a.pattern) - wildcards(b.pattern))
    .map(({ key, value }) => [key, value] as const)
}

/** `https://index.docker.io/v1/`, `r.example:5000/team`, `*.example`. */
function patternOf(key: string): Pattern {
  const [authority = '', ...path] = key.replace(/^[a-z]+:\/\//i, '').split('/')
  const [, host = authority, port = ''] = /^(.*?)(?::(\d+))?$/.exec(authority.toLowerCase()) ?? []
  while (path.at(-1) === '') path.pop()
  if (/^v[12]$/.test(path[0] ?? '')) path.shift()
  return { labels: (isDockerHub(host) ? DOCKER_HUB : host).split('.'), port, path }
}

/** A wildcard stands for a part of one label, as in kubelet. */
function isLabel(pattern: string, label: string): boolean {
  if (!pattern.includes('*')) return pattern === label
  const [first = '', ...others] = pattern.split('*')
  if (!label.startsWith(first)) return false
  const last = others.pop() ?? ''
  let at = first.length
  for (const part of others) {
    const found = label.indexOf(part, at)
    if (found === -1) return false
    at = found + part.length
  }
  return label.length - last.length >= at && label.endsWith(last)
}

const wildcards = ({ labels }: Pattern): number => labels.filter((label) => label.includes('*')).length
