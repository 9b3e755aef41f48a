/** Writes docs/errors.md: `npm run errors`. A test holds that the committed page is current. */
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { errorsPage } from './errors/page.ts'

writeFileSync(join(resolve(import.meta.dirname, '..'), 'docs', 'errors.md'), errorsPage())
