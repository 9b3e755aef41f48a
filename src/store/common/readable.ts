/**
 * Whether readers written in Go can read an image's documents. They parse all of them into structs, and one image that does not fit makes
 * podman and CRI-O list no image at all (cri-o#6457; podman 4.3: "you may need to remove the image to resolve the error"): such an image
 * must not be shown to them. Go takes null for anything, finds fields by their names in any case, and is strict about types and times.
 */

import type { NewImage } from '../store.ts'
import type { StoreLog } from './log.ts'

const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

/** RFC 3339 without leap seconds, and a day that exists: a day past the month's end comes back as another one. */
export function isGoTime(text: string): boolean {
  const local = TIME.exec(text)?.[1]
  if (local === undefined) return false
  const time = Date.parse(`${local}Z`)
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(local)
}

/** What is wrong with a value, or nothing. */
type Kind = (value: unknown, path: string) => string | undefined

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const firstOf = (complaints: Iterable<string | undefined>): string | undefined => {
  for (const complaint of complaints) if (complaint !== undefined) return complaint
  return undefined
}

const nullOr =
  (what: string, fits: (value: unknown) => boolean): Kind =>
  (value, path) =>
    value === null || fits(value) ? undefined : `${path} is not ${what}`

const text = nullOr('a string', (value) => typeof value === 'string')
const flag = nullOr('true or false', (value) => typeof value === 'boolean')
const time = nullOr('a time as RFC 3339 has it', (value) => typeof value === 'string' && isGoTime(value))
const nothing = nullOr('an object', isObject)
const integer = nullOr('an integer', Number.isSafeInteger)
const never: Kind = (_, path) => `${path} makes the document ambiguous`
const base64 = nullOr('base64', (value) => typeof value === 'string' && /^(?:[\w+/]{4})*(?:[\w+/]{2}==|[\w+/]{3}=)?$/.test(value))

const list =
  (kind: Kind): Kind =>
  (value, path) => {
    if (value === null) return undefined
    if (!Array.isArray(value)) return `${path} is not a list`
    return firstOf(value.map((each: unknown, at) => kind(each, `${path}[${at}]`)))
  }

const mapOf =
  (kind: Kind): Kind =>
  (value, path) => {
    if (value === null) return undefined
    if (!isObject(value)) return `${path} is not an object`
    return firstOf(Object.values(value).map((each) => kind(each, `a value in ${path}`)))
  }

/** As Go's JSON compares names: `ſ` is an `s`, and the Kelvin sign a `k`. */
const folded = (key: string): string => key.toUpperCase().toLowerCase()

/** `fields` are in lower case. */
const struct =
  (fields: ReadonlyMap<string, Kind>): Kind =>
  (value, path) => {
    if (value === null) return undefined
    if (!isObject(value)) return `${path} is not an object`
    return firstOf(Object.entries(value).map(([key, each]) => fields.get(folded(key))?.(each, `${path}.${key}`)))
  }

const fields = (kinds: Readonly<Record<string, Kind>>): Kind => struct(new Map(Object.entries(kinds)))

const texts = list(text)
const labels = mapOf(text)

/** image-spec specs-go/v1 `ImageConfig` and, read from the same bytes, docker's (containers/image `Schema2Config`). */
const run = fields({
  hostname: text,
  domainname: text,
  user: text,
  attachstdin: flag,
  attachstdout: flag,
  attachstderr: flag,
  exposedports: mapOf(nothing),
  tty: flag,
  openstdin: flag,
  stdinonce: flag,
  env: texts,
  cmd: texts,
  healthcheck: fields({
    test: texts,
    interval: integer,
    timeout: integer,
    startperiod: integer,
    startinterval: integer,
    retries: integer,
  }),
  argsescaped: flag,
  image: text,
  volumes: mapOf(nothing),
  workingdir: text,
  entrypoint: texts,
  networkdisabled: flag,
  macaddress: text,
  onbuild: texts,
  labels,
  stopsignal: text,
  stoptimeout: integer,
  shell: texts,
})

/** image-spec specs-go/v1 `Image` and containers/image `Schema2Image`. */
const config = fields({
  id: text,
  parent: text,
  comment: text,
  created: time,
  container: text,
  container_config: run,
  docker_version: text,
  author: text,
  config: run,
  architecture: text,
  variant: text,
  os: text,
  'os.version': text,
  'os.features': texts,
  size: integer,
  rootfs: fields({ type: text, diff_ids: texts }),
  history: list(fields({ created: time, created_by: text, author: text, comment: text, empty_layer: flag })),
})

const descriptor = fields({
  mediatype: text,
  digest: text,
  size: integer,
  urls: texts,
  annotations: labels,
  data: base64,
  artifacttype: text,
  platform: fields({ architecture: text, os: text, 'os.version': text, 'os.features': texts, variant: text, features: texts }),
})

/** Fields that manifests and indexes have both. */
const common = {
  schemaversion: integer,
  mediatype: text,
  artifacttype: text,
  subject: descriptor,
  annotations: labels,
  fslayers: never,
  history: never,
}

/** image-spec specs-go/v1 `Manifest` and `Index`; a field of another kind of document is refused (containers/image, CVE-2021-41190). */
const manifest = fields({ ...common, config: descriptor, layers: list(descriptor), manifests: never })
const index = fields({ ...common, manifests: list(descriptor), config: never, layers: never })

type Documents = Pick<NewImage, 'id' | 'configBytes' | 'manifestBytes' | 'indexBytes'>

/** Why Go cannot read these documents of an image; undefined where it can. */
export const unreadableIn = ({ configBytes, manifestBytes, indexBytes }: Documents): string | undefined =>
  complaintOf(config, 'the config', configBytes) ??
  complaintOf(manifest, 'the manifest', manifestBytes) ??
  (indexBytes === undefined ? undefined : complaintOf(index, 'the index', indexBytes))

/** Whether Go can; the log says so, and why, where it cannot. */
export function isReadable(documents: Documents, log: StoreLog): boolean {
  const { id } = documents
  const reason = unreadableIn(documents)
  if (reason !== undefined)
    log.warn(
      { image: id, reason },
      'podman and CRI-O could not read this image, and with it in their list they would show none: they are not shown it',
    )
  return reason === undefined
}

function complaintOf(kind: Kind, what: string, bytes: Uint8Array): string | undefined {
  const json = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()
  if (isDeep(json)) return `${what} is nested deeper than ${MAX_DEPTH}`
  try {
    return kind(MAY_HAVE_FRACTIONS.test(json) ? JSON.parse(json, asGoSees) : JSON.parse(json), what)
  } catch (error) {
    return `${what}: ${String(error)}`
  }
}

/** Finds every number of such a kind, and strings that look like one: they only cost time. */
const MAY_HAVE_FRACTIONS = /[:,[]\s*-?\d+[.eE]/

/** `5.0` and `5e0` are no integers to Go. */
const asGoSees = (_: string, value: unknown, { source = '' }: { readonly source?: string } = {}): unknown =>
  typeof value === 'number' && !/^-?\d+$/.test(source) ? Number.NaN : value

/** encoding/json's limit. */
const MAX_DEPTH = 10_000

function isDeep(json: string): boolean {
  // Most documents are shorter than that.
  if (json.length < 2 * MAX_DEPTH) return false
  let depth = 0
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[[{\]}]/g)) {
    if (token === '[' || token === '{') depth++
    else if (token === ']' || token === '}') depth--
    if (depth > MAX_DEPTH) return true
  }
  return false
}
