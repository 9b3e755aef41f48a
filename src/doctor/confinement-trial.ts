/** A process of its own: takes the steps an extractor is confined by, and writes down which were refused. */
import { writeSync } from 'node:fs'
import { confineThread } from '../sys/confine.ts'
import { forbidCalls } from '../sys/forbid.ts'
import { errnoName } from '../sys/libc.ts'

const refused = confineThread({ writable: [], readable: [], executable: [] })
const forbidden = forbidCalls()
if (forbidden < 0) refused.push(`seccomp: ${errnoName(forbidden)}`)
writeSync(1, JSON.stringify(refused))
// Without Node's own end: it may want what has been given up.
process.exit(0)
