/**
 * The file by which CRI-O decides whether an image may come (containers-policy.json(5)). Our way of pulling does not know it, so where
 * it says anything, pulls stay CRI-O's.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

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
  const text = textOf(path)
  // Without the file CRI-O pulls nothing.
  if (text === undefined) return []
  const policy = policySchema.safeParse(jsonOf(text))
  if (!policy.success) return [`${path} cannot be read as a signature policy`]
  const scopes = Object.values(policy.data.transports).flatMap((each) => Object.values(each))
  const isOpen = [policy.data.default, ...scopes].every((all) => all.every(({ type }) => type === 'insecureAcceptAnything'))
  return isOpen ? [] : [`${path} wants signatures, or refuses images; only the runtime looks at those`]
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
