/** All that writers and attackers do to a member. */
import { extendedOddities } from './extended-oddities.ts'
import { headerOddities } from './header-oddities.ts'
import type { Oddity } from './oddity.ts'

export const oddities: readonly Oddity[] = [...extendedOddities, ...headerOddities]
