/** What a verification has found so far, put together from its events, and how it is printed. */
import type { LayerToVerify, LayerVerdict, VerifyEvent } from '../verify/verify.ts'
import { rounded } from './documents.ts'
import { bytes, plural, printable, shortDigest, table } from './text.ts'

/** One layer: how many of its bytes have passed, what was found, and what had been found before a repair. */
export type CheckedLayer = {
  readonly layer: LayerToVerify
  readonly passed: number
  readonly verdict?: LayerVerdict
  readonly before?: LayerVerdict
}

export type Checked = {
  readonly layers: readonly CheckedLayer[]
  readonly repairing?: string
  readonly failedRepairs: readonly { readonly image: string; readonly reason: string }[]
  readonly ms: number
}

export const nothingChecked: Checked = { layers: [], failedRepairs: [], ms: 0 }

/** The state after an event. */
export function checked(state: Checked, event: VerifyEvent): Checked {
  const withLayer = (at: number, change: (known: CheckedLayer) => CheckedLayer): Checked => ({
    ...state,
    layers: state.layers.map((known, position) => (position === at ? change(known) : known)),
  })
  switch (event.type) {
    case 'planned':
      return { ...state, layers: event.layers.map((layer) => ({ layer, passed: 0 })) }
    case 'progress':
      return withLayer(event.layer, (known) => ({ ...known, passed: event.bytes }))
    case 'layer':
      return withLayer(event.layer, ({ layer, verdict }) => ({
        layer,
        passed: layer.bytes,
        verdict: event.verdict,
        ...(verdict === undefined ? {} : { before: verdict }),
      }))
    case 'repairing':
      return { ...state, repairing: event.image }
    case 'repair-failed':
      return { ...state, failedRepairs: [...state.failedRepairs, { image: event.image, reason: event.reason }] }
    case 'done':
      return { ...state, ms: event.ms }
  }
}

const isRepaired = ({ verdict, before }: CheckedLayer): boolean => before?.outcome === 'damaged' && verdict?.outcome === 'sound'

/** For programs. */
export const reportDocument = ({ layers, failedRepairs, ms }: Checked) => ({
  layers: layers.map((each) => {
    const { layer, verdict } = each
    return { ...layer, ...verdict, ...(verdict === undefined ? {} : { ms: rounded(verdict.ms) }), repaired: isRepaired(each) }
  }),
  failedRepairs,
  ms: rounded(ms),
})

/** For people: a row for each layer, and below the table what is amiss in each. */
export function reportForPeople({ layers }: Checked): string {
  const rows = layers.map((each) => [
    shortDigest(each.layer.layerId),
    bytes(each.layer.bytes),
    resultOf(each),
    each.layer.images.join(', '),
  ])
  const amiss = layers.flatMap(({ layer, verdict }) =>
    verdict === undefined || verdict.total === 0 ? [] : [amissIn(layer, verdict)],
  )
  return [table(['LAYER', 'SIZE', 'RESULT', 'IMAGES'], rows), ...amiss].join('\n')
}

function resultOf(each: CheckedLayer): string {
  const { verdict } = each
  if (isRepaired(each)) return 'repaired'
  if (verdict === undefined) return 'not verified'
  const { outcome, total, reason } = verdict
  if (outcome === 'unverifiable') return `unverifiable: ${printable(reason ?? '')}`
  return outcome === 'damaged' ? `damaged: ${plural(total, 'difference')}` : outcome
}

function amissIn({ layerId }: LayerToVerify, { differences, total }: LayerVerdict): string {
  const width = Math.max(...differences.map(({ kind }) => kind.length)) + 2
  const lines = differences.map(({ path, kind, detail }) => `  ${kind.padEnd(width)}${printable(path)}: ${printable(detail)}\n`)
  const more = total - differences.length
  return [`layer ${shortDigest(layerId)}\n`, ...lines, ...(more > 0 ? [`  and ${more} more\n`] : [])].join('')
}
