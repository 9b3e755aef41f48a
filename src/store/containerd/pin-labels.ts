/** Pins as labels of containerd's records, read. */
import { z } from 'zod'
import { type Pin, standing } from '../pins.ts'
import { PIN, PINNED } from './names.ts'

type Labels = Readonly<Record<string, string>>

const time = z.iso.datetime().transform((text) => new Date(text))
/** `others`: the record was pinned by somebody else. */
const written = z.object({ reason: z.string(), since: time, until: time.optional(), others: z.boolean().optional() })

/** What a record's labels say: ours, and whether somebody else pinned it. What is no pin of ours counts as nobody's. */
export function pinsIn(labels: Labels): { readonly pins: readonly Pin[]; readonly others: boolean } {
  const ours = Object.entries(labels).flatMap(([label, text]) => {
    const pin = label.startsWith(PIN) ? pinOf(label.slice(PIN.length), text) : undefined
    return pin === undefined ? [] : [pin]
  })
  const isMarked = Object.entries(PINNED).every(([label, value]) => labels[label] === value)
  const others = isMarked && (ours.length === 0 || ours.some(({ others }) => others === true))
  return { pins: ours.map(({ others: _, ...pin }) => pin), others }
}

function pinOf(owner: string, text: string): (Pin & { readonly others?: boolean | undefined }) | undefined {
  try {
    const { reason, since, until, others } = written.parse(JSON.parse(text))
    return { owner, reason, since, ...(until === undefined ? {} : { until }), others }
  } catch {
    return undefined
  }
}

/** A record's pins, whether somebody else pinned it too, and since when it is there, in milliseconds. */
type Marked = { readonly pins: readonly Pin[]; readonly pinned: boolean; readonly madeAt: number }

/** Of an image's records, each owner's latest. */
export function pinsOf(records: readonly Marked[]): readonly Pin[] {
  const ours = records.flatMap(({ pins }) => pins).toSorted(byTime)
  const others = records.find(({ pinned }) => pinned)
  return [
    ...(others === undefined ? [] : [{ owner: OTHERS, reason: 'its record says so', since: new Date(others.madeAt) }]),
    ...standing([...new Map(ours.map((pin) => [pin.owner, pin])).values()]),
  ]
}

const byTime = (a: Pin, b: Pin): number => a.since.getTime() - b.since.getTime() || (a.owner < b.owner ? -1 : 1)

/** Whoever set the plugin's label, if it was not we. */
export const OTHERS = 'containerd'
