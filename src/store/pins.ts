/** Pins: who wants an image kept, why, and until when. */
/** One owner's wish that an image stays; no owner has two for one image. */
export type Pin = { readonly owner: string; readonly reason: string; readonly since: Date; readonly until?: Date }

/** Pins every image with a name that one of `images` matches, `ttlMs` long from its last use on, a pull being one; without it, for good. */
export type PinRule = { readonly images: readonly string[]; readonly reason: string; readonly ttlMs?: number }

/** The owner of what a rule pins: it goes when the rule does. */
export const RULE_OWNER = 'configuration'

export const MAX_OWNER_BYTES = 128
export const MAX_REASON_BYTES = 1024
/** Standing ones on one image. */
export const MAX_PINS = 100

/** True while one of the image's pins has time left. */
export const isPinned = ({ pins }: { readonly pins: readonly Pin[] }, now = new Date()): boolean =>
  pins.some(({ until }) => until === undefined || until > now)

/** The pins among `pins` that have time left. */
export const standing = (pins: readonly Pin[], now = new Date()): readonly Pin[] =>
  pins.filter(({ until }) => until === undefined || until > now)

/** What a rule goes by. */
type Named = {
  readonly tags: readonly string[]
  readonly digests: readonly string[]
  readonly pulledAt: Date
  readonly usedAt: Date
}

/** What rules pin of one image, by its names: at most one pin, which lasts as long as the longest of them. */
export function pinsByRules(rules: readonly PinRule[], { tags, digests, pulledAt, usedAt }: Named): readonly Pin[] {
  const matching = rules.filter(({ images }) => images.some((glob) => [...tags, ...digests].some((name) => matches(glob, name))))
  const [longest] = matching.toSorted((a, b) => (b.ttlMs ?? Infinity) - (a.ttlMs ?? Infinity))
  if (longest === undefined) return []
  const { reason, ttlMs } = longest
  const until = ttlMs === undefined ? {} : { until: new Date(usedAt.getTime() + ttlMs) }
  return [{ owner: RULE_OWNER, reason, since: pulledAt, ...until }]
}

/**
 * Whether a glob matches a tag or digest name in normal form: `*` is any run of characters without a slash, `**` with. One that names
 * neither tag nor digest means all of the repository.
 */
export function matches(glob: string, name: string): boolean {
  const repository = name.includes('@') ? name.slice(0, name.indexOf('@')) : name.slice(0, name.lastIndexOf(':'))
  return matchesFrom(glob, name) || matchesFrom(glob, repository)
}

/** Without a regular expression: one made of many stars takes exponential time on the wrong name. */
function matchesFrom(glob: string, text: string): boolean {
  let reached = new Set([0])
  for (let at = 0; at < glob.length && reached.size > 0; at++) {
    const next = new Set<number>()
    const isStar = glob[at] === '*'
    const crosses = isStar && glob[at + 1] === '*'
    if (crosses) at++
    for (const from of reached) {
      if (!isStar) {
        if (text[from] === glob[at]) next.add(from + 1)
        continue
      }
      next.add(from)
      for (let to = from; to < text.length && !next.has(to + 1) && (crosses || text[to] !== '/'); to++) next.add(to + 1)
    }
    reached = next
  }
  return reached.has(text.length)
}
