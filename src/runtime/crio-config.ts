/**
 * The file by which CRI-O decides whether an image may come (containers-policy.json(5)). Our way of pulling does not know it, so where
 * it says anything, pulls stay CRI-O's.
 */
import { join } from 'node:path'
import { z } from 'zod'
import { readRegular } from '../sys/regular.ts'

const MAX_BYTES = 2 ** 20

const requirements = z.array(z.object({ type: z.string() }))
const policySchema = z.object({
  default: requirements,
  transports: z.record(z.string(), z.record(z.string(), requirements)).default({}),
})

/** One sentence for each; `etc` is where containers' files are. */
export function crioObstacles(etc = '/etc/containers'): readonly string[] {
  return policyObstacles(join(etc, 'policy.json'))
}

function policyObstacles(path: string): readonly string[] {
  const content = contentOf(path)
  // Without the file CRI-O pulls nothing.
  if (content === undefined) return []
  const policy = policySchema.safeParse(content)
  if (!policy.success) return [`${path} cannot be read as a signature policy`]
  const scopes = Object.values(policy.data.transports).flatMap((each) => Object.values(each))
  const isOpen = [policy.data.default, ...scopes].every((all) => all.every(({ type }) => type === 'insecureAcceptAnything'))
  return isOpen ? [] : [`${path} wants signatures, or refuses images; only the runtime looks at those`]
}

/** Undefined where there is no file; null, which is none of what is looked for, where what is there cannot be read. */
function contentOf(path: string): unknown {
  const read = readRegular(path, MAX_BYTES)
  if (read.kind === 'absent' || read.kind === 'dangling') return undefined
  try {
    return read.kind === 'read' ? JSON.parse(read.bytes.toString()) : null
  } catch {
    return null
  }
}
