/** As much of PromQL as it takes to hold queries to what is there: which series they select, by which labels they go, what is counted up. */

/** `labels`: those that the query expects of the metric. `isRated`: the increase of it is asked for. */
export type Selector = {
  readonly metric: string
  readonly matchers: readonly { readonly label: string; readonly values: readonly string[] }[]
  readonly labels: ReadonlySet<string>
  readonly isRated: boolean
}

type Token = { readonly kind: 'word' | 'string' | 'number' | 'mark'; readonly text: string }

const TOKEN =
  /\s*(?:(?<word>[a-zA-Z_:][\w:]*)|"(?<string>(?:[^"\\]|\\.)*)"|(?<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?(?:ms|[smhdwy])?)|(?<mark>=~|!~|!=|==|>=|<=|[-+*/%^(){}[\],=<>:]))/gy
const AGGREGATIONS = new Set(['sum', 'avg', 'min', 'max', 'count', 'topk', 'bottomk', 'quantile', 'group', 'stddev'])
const FUNCTIONS = new Set([
  'rate',
  'increase',
  'irate',
  'changes',
  'histogram_quantile',
  'min_over_time',
  'max_over_time',
  'avg_over_time',
  'vector',
  'clamp_min',
  'absent',
])
const COUNTING = new Set(['rate', 'increase', 'irate'])
const OPERATORS = new Set(['and', 'or', 'unless', 'bool', 'offset'])
const MATCHING = new Set(['on', 'ignoring', 'group_left', 'group_right'])

function tokensOf(query: string): readonly Token[] {
  const tokens: Token[] = []
  let at = 0
  for (const match of query.matchAll(TOKEN)) {
    at = match.index + match[0].length
    const [kind, text] = Object.entries(match.groups ?? {}).find(([, value]) => value !== undefined) ?? []
    if (kind === 'word' || kind === 'string' || kind === 'number' || kind === 'mark') tokens.push({ kind, text: text ?? '' })
  }
  if (query.slice(at).trim() !== '') throw new SyntaxError(`not understood from here on: ${query.slice(at)}`)
  return tokens
}

/** Throws SyntaxError for what is no query, or more of the language than this knows. */
export function selectorsIn(query: string): readonly Selector[] {
  const tokens = tokensOf(query)
  const found: Selector[] = []
  let at = 0
  const peek = (ahead = 0): string | undefined => tokens[at + ahead]?.text
  const isMark = (text: string): boolean => tokens[at]?.kind === 'mark' && peek() === text
  const take = (expected?: string): string => {
    const token = tokens[at++]
    if (token === undefined || (expected !== undefined && token.text !== expected))
      throw new SyntaxError(`${query}: want ${expected ?? 'more'}, found ${token?.text ?? 'the end'}`)
    return token.text
  }
  const labelList = (): string[] => {
    const labels: string[] = []
    take('(')
    while (!isMark(')')) {
      labels.push(take())
      if (!isMark(')')) take(',')
    }
    take(')')
    return labels
  }
  const selector = (metric: string, labels: ReadonlySet<string>, isRated: boolean): void => {
    const matchers: { label: string; values: readonly string[] }[] = []
    if (isMark('{')) {
      take('{')
      while (!isMark('}')) {
        const label = take()
        const how = take()
        if (!['=', '!=', '=~', '!~'].includes(how)) throw new SyntaxError(`${query}: ${how} compares no labels`)
        matchers.push({ label, values: how.endsWith('~') ? take().split('|') : [take()] })
        if (!isMark('}')) take(',')
      }
      take('}')
    }
    found.push({ metric, matchers, labels: new Set([...labels, ...matchers.map(({ label }) => label)]), isRated })
  }
  const operand = (labels: ReadonlySet<string>, isRated: boolean): void => {
    const { kind, text = '' } = tokens[at] ?? {}
    if (kind === 'number') take()
    else if (isMark('(')) {
      take('(')
      expression(labels, isRated)
      take(')')
    } else if (isMark('-')) {
      take('-')
      operand(labels, isRated)
    } else if (kind !== 'word') throw new SyntaxError(`${query}: want a metric, found ${text}`)
    else if (AGGREGATIONS.has(text)) {
      take()
      const isBy = peek() === 'by'
      if (isBy) take()
      call(new Set(isBy ? labelList() : []), isRated)
    } else if (peek(1) === '(') {
      if (!FUNCTIONS.has(text)) throw new SyntaxError(`${query}: ${text} is no function that is known here`)
      take()
      call(text === 'histogram_quantile' ? new Set([...labels, 'le']) : labels, isRated || COUNTING.has(text))
    } else selector(take(), labels, isRated)
    if (isMark('[')) {
      take('[')
      take()
      take(']')
    }
  }
  const call = (labels: ReadonlySet<string>, isRated: boolean): void => {
    take('(')
    while (!isMark(')')) {
      expression(labels, isRated)
      if (!isMark(')')) take(',')
    }
    take(')')
  }
  const expression = (labels: ReadonlySet<string>, isRated: boolean): void => {
    operand(labels, isRated)
    while (tokens[at] !== undefined && !isMark(')') && !isMark(',')) {
      const { kind, text = '' } = tokens[at] ?? {}
      if (kind === 'word' ? !OPERATORS.has(text) : !/^(?:[-+*/%^]|[=!<>]=|[<>])$/.test(text))
        throw new SyntaxError(`${query}: want an operator, found ${text}`)
      take()
      const both = new Set(labels)
      while (MATCHING.has(peek() ?? '')) {
        take()
        for (const label of labelList()) both.add(label)
      }
      operand(both, isRated)
    }
  }
  expression(new Set(), false)
  if (at < tokens.length) throw new SyntaxError(`${query}: nothing is wanted after ${tokens[at - 1]?.text ?? ''}`)
  return found
}
