/** What a host was shown, and may repeat in what it says: nobody else is to read it, in whichever way it is written there. */
import type { Credentials } from './registry.ts'

export type Secrets = readonly string[]

/** Configured headers are keys now and then, and often only a word such as `eu`, without which no answer could be read. */
const MIN_HEADER = 4
/** An escaped text within an escaped text, and once more. */
const MAX_ESCAPED = 3

/** Of what a request logs in with, and of the headers that went along for this host alone. */
export function secretsOf(credentials: Credentials, headers: Readonly<Record<string, string | readonly string[]>>): Secrets {
  const sent = Object.values(headers)
    .flat()
    .filter(({ length }) => length >= MIN_HEADER)
  const all = [...inCredentials(credentials), ...sent.flatMap(inHeader)].filter((secret) => secret !== '')
  // The longest first: none is a part of what is left of another.
  return [...new Set(all)].toSorted((a, b) => b.length - a.length)
}

/** The text with `***` for each of them. It loses its escapes where there is one behind them. */
export function hide(text: string, secrets: Secrets, depth = MAX_ESCAPED): string {
  let shown = replaced(text, secrets)
  if (depth === 0 || secrets.length === 0) return shown
  for (const decode of [fromJson, fromUrl, fromHtml]) {
    const plain = decode(shown)
    const hidden = plain === shown ? plain : hide(plain, secrets, depth - 1)
    if (hidden !== plain) shown = hidden
  }
  return shown
}

const replaced = (text: string, secrets: Secrets): string =>
  secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), text)

function inCredentials(credentials: Credentials): readonly string[] {
  switch (credentials.kind) {
    case 'anonymous':
      return []
    case 'basic': {
      const pair = Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')
      return [credentials.password, pair]
    }
    case 'identity-token':
    case 'registry-token':
      return [credentials.token]
  }
}

/** The value, and what is in it where it is a login (RFC 9110 §11.4): "Bearer TOKEN", "Basic BASE64". */
function inHeader(value: string): readonly string[] {
  const [, scheme, login] = /^(basic|bearer) +(.+)$/i.exec(value) ?? []
  if (scheme === undefined || login === undefined) return [value]
  const decoded = scheme.toLowerCase() === 'basic' ? Buffer.from(login, 'base64').toString('utf8') : ''
  return [login, decoded.slice(decoded.indexOf(':') + 1)]
}

const JSON_SIGNS: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' }
const HTML_SIGNS: Readonly<Record<string, string>> = { quot: '"', apos: "'", amp: '&', lt: '<', gt: '>' }

/** RFC 8259 §7. */
const fromJson = (text: string): string =>
  text.replace(/\\(?:u([0-9a-f]{4})|(["\\/bfnrt]))/gi, (_, code?: string, sign = '') =>
    code === undefined ? (JSON_SIGNS[sign] ?? sign) : String.fromCharCode(Number.parseInt(code, 16)),
  )

/** RFC 3986 §2.1. */
const fromUrl = (text: string): string =>
  text.replace(/(?:%[0-9a-f]{2})+/gi, (bytes) => Buffer.from(bytes.replaceAll('%', ''), 'hex').toString('utf8'))

const fromHtml = (text: string): string =>
  text.replace(/&(?:#(\d{1,5})|(quot|apos|amp|lt|gt));/g, (whole, code?: string, name = '') =>
    code === undefined ? (HTML_SIGNS[name] ?? whole) : String.fromCharCode(Number(code)),
  )
