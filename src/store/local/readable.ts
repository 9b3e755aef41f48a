/**
 * Whether readers written in Go can read an image's config. They parse all of it into a struct (image-spec specs-go/v1, `Image`), and
 * one config that does not fit makes CRI-O list no image at all (cri-o#6457): such an image must not be shown to them. Go takes null for
 * anything, finds fields by their names in any case, and is strict about types and times.
 */
import { isGoTime } from './entries.ts'

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

/** `fields` are in lower case. */
const struct =
  (fields: ReadonlyMap<string, Kind>): Kind =>
  (value, path) => {
    if (value === null) return undefined
    if (!isObject(value)) return `${path} is not an object`
    return firstOf(Object.entries(value).map(([key, each]) => fields.get(key.toLowerCase())?.(each, `${path}.${key}`)))
  }

const fields = (kinds: Readonly<Record<string, Kind>>): Kind => struct(new Map(Object.entries(kinds)))

const texts = list(text)
const config = fields({
  created: time,
  author: text,
  architecture: text,
  os: text,
  'os.version': text,
  'os.features': texts,
  variant: text,
  config: fields({
    user: text,
    exposedports: mapOf(nothing),
    env: texts,
    entrypoint: texts,
    cmd: texts,
    volumes: mapOf(nothing),
    workingdir: text,
    labels: mapOf(text),
    stopsignal: text,
  }),
  rootfs: fields({ type: text, diff_ids: texts }),
  history: list(fields({ created: time, created_by: text, author: text, comment: text, empty_layer: flag })),
})

/** Why Go could not read this config; undefined where it can. The bytes are a JSON object: the pull has seen to that. */
export function unreadable(bytes: Uint8Array): string | undefined {
  try {
    return config(JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()), 'the config')
  } catch (error) {
    return String(error)
  }
}
