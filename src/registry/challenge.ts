/** Reads `WWW-Authenticate` (RFC 9110 §11.6.1): one header may carry several challenges, and there may be several headers. */

export type Challenge =
  | { readonly scheme: 'basic' }
  | {
      readonly scheme: 'bearer'
      readonly realm: string
      readonly service: string | undefined
      readonly scopes: readonly string[]
      /** `insufficient_scope`: the login is good, the repository is not for it. */
      readonly error: string | undefined
    }

/** Longer ones are not looked at. */
const MAX_LENGTH = 16 * 1024

/** Bearer where it is offered, else Basic; undefined where neither is. */
export function chooseChallenge(header: string | readonly string[] | undefined): Challenge | undefined {
  const text = [header ?? []].flat().join(', ')
  if (text.length > MAX_LENGTH) return undefined
  const offered = [...challengesIn(text)]
  const bearer = offered.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.has('realm'))
  if (bearer !== undefined) {
    return {
      scheme: 'bearer',
      realm: bearer.parameters.get('realm') ?? '',
      service: bearer.parameters.get('service'),
      scopes: (bearer.parameters.get('scope') ?? '').split(' ').filter((scope) => scope !== ''),
      error: bearer.parameters.get('error'),
    }
  }
  return offered.some(({ scheme }) => scheme === 'basic') ? { scheme: 'basic' } : undefined
}

type Parsed = { readonly scheme: string; readonly parameters: ReadonlyMap<string, string> }

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
// A parameter, or a scheme name: what has `=` after it is a parameter of the last scheme.
const PART = new RegExp(`[\\s,]*(?:(${TOKEN})[ \\t]*=[ \\t]*(?:"((?:[^"\\\\]|\\\\.)*)"|(${TOKEN}))|(${TOKEN}))`, 'y')

function* challengesIn(text: string): Generator<Parsed> {
  let current: { scheme: string; parameters: Map<string, string> } | undefined
  PART.lastIndex = 0
  for (let part = PART.exec(text); part !== null; part = PART.exec(text)) {
    const [, name, quoted, plain, scheme] = part
    if (scheme !== undefined) {
      if (current !== undefined) yield current
      current = { scheme: scheme.toLowerCase(), parameters: new Map() }
    } else if (name !== undefined && current !== undefined && !current.parameters.has(name.toLowerCase())) {
      current.parameters.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '')
    }
  }
  if (current !== undefined) yield current
}
