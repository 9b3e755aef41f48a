/**
 * Text ⇄ `Reference`. The grammar is the distribution project's (`[host[:port]/]path[:tag][@digest]`), the defaults are docker's, as in
 * every Kubernetes runtime: no host means docker.io, one path component there means library/, no tag means latest.
 */
import { isIPv6 } from 'node:net'
import { fail } from '../failure/failure.ts'
import { type Digest, isDigest } from '../oci/digest.ts'
import type { Reference } from './reference.ts'
import { DOCKER_HUB } from './registry-name.ts'

const DEFAULT_TAG = 'latest'
const MAX_REPOSITORY = 255
const MAX_TAG = 128
/** Longer than any valid reference: 253 of host, 6 of port, 255, 128 and 71, with separators. */
const MAX_TEXT = 1024

const TAG = /^\w[\w.-]*$/
const PATH_COMPONENT = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/
const DOMAIN_LABEL = /^[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?$/
const FORBIDDEN = /[^\w.:/@[\]+-]/u

/** Parses what a person types into the normal form. Throws invalid-reference with what is wrong and, where it is plain, the remedy. */
export function parseReference(text: string): Reference {
  const refuse = (reason: string): never => fail({ kind: 'invalid-reference', input: shorten(text), reason })
  refuseByLook(text, refuse)

  const at = text.indexOf('@')
  const digest = at < 0 ? undefined : digestOf(text.slice(at + 1), refuse)
  const named = at < 0 ? text : text.slice(0, at)

  // A colon after the last slash starts the tag; one before it belongs to the host's port.
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1)
  const tag = colon < 0 ? undefined : tagOf(named.slice(colon + 1), refuse)
  const name = colon < 0 ? named : named.slice(0, colon)

  const { registry, repository } = splitName(name)
  checkRegistry(registry, refuse)
  checkRepository(repository, refuse)
  return digest === undefined ? { registry, repository, tag: tag ?? DEFAULT_TAG } : { registry, repository, digest }
}

/** Whether a text that is a reference says which tag or digest; else it is the default one that a pull takes. */
export const namesOne = (text: string): boolean => text.includes('@') || text.includes(':', text.lastIndexOf('/') + 1)

/** The normal form: `host/repository:tag` or `host/repository@digest`. `parseReference` reads it back to the same value. */
export function formatReference(reference: Reference): string {
  const { tag, digest } = reference
  return `${formatRepository(reference)}${digest === undefined ? `:${tag ?? DEFAULT_TAG}` : `@${digest}`}`
}

/** `host/repository`, as repo digests and authorization scopes are made from. */
export const formatRepository = ({ registry, repository }: Reference): string => `${registry}/${repository}`

type Refuse = (reason: string) => never

/** Mistakes that a look at the whole text explains better than the part they break. */
function refuseByLook(text: string, refuse: Refuse): void {
  if (text === '') refuse('it is empty')
  if (text.length > MAX_TEXT) refuse(`it has ${text.length} characters; no reference is longer than ${MAX_TEXT}`)
  if (/^[a-z]+:\/\//i.test(text)) refuse('leave out the scheme; whether a registry speaks plain HTTP is set in its hosts.toml')
  const bad = FORBIDDEN.exec(text)?.[0]
  if (bad !== undefined) refuse(`the character ${JSON.stringify(bad)} is not allowed`)
  if (/^[0-9a-f]{64}$/.test(text)) refuse('64 hex digits are an image id, not a name')
  if (/^sha256:[0-9a-f]{64}$/.test(text)) refuse('a digest alone names no repository; write repository@sha256:…')
}

function digestOf(text: string, refuse: Refuse): Digest {
  if (isDigest(text)) return text
  if (text.includes('@')) refuse('it has more than one @')
  if (/^sha(384|512):/.test(text)) refuse('only sha256 digests are supported')
  return refuse('the digest after @ must be sha256: and 64 lower-case hex digits')
}

function tagOf(text: string, refuse: Refuse): string {
  if (text === '') refuse('the tag after : is empty')
  if (text.length > MAX_TAG) refuse(`the tag has ${text.length} characters; at most ${MAX_TAG} are allowed`)
  if (!TAG.test(text))
    refuse(`the tag ${JSON.stringify(text)} must start with a letter, digit or _, and go on with those, . or -`)
  return text
}

/** The first component is a host if it could not be a repository's: it has a dot, a colon or an upper-case letter, or is localhost. */
function splitName(name: string): { registry: string; repository: string } {
  const slash = name.indexOf('/')
  const first = slash < 0 ? '' : name.slice(0, slash)
  const isHost = first === 'localhost' || /[.:[A-Z]/.test(first)
  const host = isHost ? first : DOCKER_HUB
  const registry = host === 'index.docker.io' ? DOCKER_HUB : host
  const path = isHost ? name.slice(slash + 1) : name
  return { registry, repository: registry === DOCKER_HUB && !path.includes('/') ? `library/${path}` : path }
}

function checkRegistry(registry: string, refuse: Refuse): void {
  const [, bracketed, plain, port] =
    /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/.exec(registry) ?? refuse(`the host ${JSON.stringify(registry)} is malformed`)
  if (bracketed !== undefined && !isIPv6(bracketed)) refuse(`${JSON.stringify(bracketed)} is not an IPv6 address`)
  if (plain !== undefined && (plain.length > 253 || !plain.split('.').every((label) => DOMAIN_LABEL.test(label)))) {
    refuse(`the host ${JSON.stringify(plain)} must be labels of letters, digits and - joined by dots`)
  }
  if (port !== undefined && (!/^\d{1,5}$/.test(port) || Number(port) > 65535))
    refuse(`the port ${JSON.stringify(port)} must be a number up to 65535`)
}

function checkRepository(repository: string, refuse: Refuse): void {
  if (repository.length > MAX_REPOSITORY)
    refuse(`the repository has ${repository.length} characters; at most ${MAX_REPOSITORY} are allowed`)
  for (const component of repository.split('/')) {
    if (component === '') refuse('a component of the repository is empty')
    if (/[A-Z]/.test(component)) refuse(`the repository must be lower case; ${JSON.stringify(component)} is not`)
    if (!PATH_COMPONENT.test(component)) {
      refuse(
        `the component ${JSON.stringify(component)} must be lower-case letters and digits, joined by single . or _, by __ or by dashes`,
      )
    }
  }
}

const shorten = (text: string): string => (text.length <= 200 ? text : `${text.slice(0, 200)}…`)
