/**
 * The composition root: builds the rooms and owns start and shutdown. Everything but the command line itself is loaded when a command
 * needs it, so that `--help` answers at once.
 */

import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { run } from './cli/run.ts'
import { readImageLists } from './config/image-list.ts'
import { checkFlags, loadConfig, salvageConfig } from './config/load.ts'
import { configDocument } from './config/print.ts'

// Beside src/ in a clone, and beside lib/ where it is compiled.
const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
const { version } = z.object({ version: z.string() }).parse(JSON.parse(manifest))

process.exitCode = await run(process.argv.slice(2), {
  version,
  loadConfig,
  checkFlags,
  salvageConfig,
  configDocument,
  serve: async (config, options) => {
    const { runDaemon } = await import('./main/daemon.ts')
    await runDaemon(config, version, options)
  },
  examine: async (config, options) => {
    const [{ examine }, { damagedLayersIn }] = await Promise.all([
      import('./doctor/doctor.ts'),
      import('./store/local/glance.ts'),
    ])
    return await examine(config, { ...options, damagedIn: damagedLayersIn })
  },
  prove: async (config, ask, options) => {
    const { proveHere } = await import('./main/prove.ts')
    return await proveHere(config, version, ask, options)
  },
  readLists: readImageLists,
  openChecker: async (config, ask, onProblem) => {
    const { openChecker } = await import('./main/check.ts')
    return openChecker(config, version, ask, onProblem)
  },
  openEmbedded: async (config, options) => {
    const [{ openNode }, { createLogger }, { checkOwn }] = await Promise.all([
      import('./main/node.ts'),
      import('./main/log.ts'),
      import('./main/last-runtime.ts'),
    ])
    checkOwn(config.rootDir)
    // A person watches: what they need to know comes as progress and errors, not as a log.
    return await openNode({ config, version, log: createLogger({ format: 'text', level: 'error' }) }, options)
  },
})
