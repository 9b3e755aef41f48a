/** `npm run errors`: docs/errors.md. A test holds that the committed page is current. */
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { errorsPage } from './errors/page.ts'
import { optionsOf } from './options.ts'

optionsOf({
  command: 'npm run errors',
  about: 'Writes docs/errors.md from the table of failures and their examples in scripts/errors.',
  takes: 'seconds',
  options: {},
})

writeFileSync(join(resolve(import.meta.dirname, '..'), 'docs', 'errors.md'), errorsPage())
