/** The candidate that was perhaps meant: one a few slips of the fingers away, at most a third of what was typed. */
export function nearest(typed: string, candidates: readonly string[]): string | undefined {
  const most = Math.ceil(typed.length / 3)
  const [best] = candidates
    .map((name) => ({ name, slips: slips(typed.toLowerCase(), name.toLowerCase()) }))
    .filter((each) => each.slips <= most)
    .toSorted((a, b) => a.slips - b.slips)
  return best?.name
}

/** Levenshtein's distance: letters to add, to leave out or to change. Keys of a file may be long; candidates are not. */
function slips(typed: string, name: string): number {
  const text = typed.slice(0, 64)
  let above = Array.from({ length: name.length + 1 }, (_, at) => at)
  for (let row = 1; row <= text.length; row++) {
    const line = [row]
    for (let at = 1; at <= name.length; at++) {
      const change = (above[at - 1] ?? 0) + (text[row - 1] === name[at - 1] ? 0 : 1)
      line.push(Math.min(change, (above[at] ?? 0) + 1, (line[at - 1] ?? 0) + 1))
    }
    above = line
  }
  return above[name.length] ?? 0
}
