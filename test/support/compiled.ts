/** A release's directory without the half minute that npm takes: our own code compiled, beside copies of this checkout's packages. */
import { cpSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { compile, top } from '../../scripts/release/compile.ts'
import { componentsFor, processorHere, processors } from '../../scripts/release/components.ts'

/** Makes `tree`; returns it. Copies, because extractors are shown the directory of packages and nothing that links out of it. */
export function compiledTree(tree: string): string {
  mkdirSync(tree, { recursive: true })
  compile(join(tree, 'lib'))
  const packages = componentsFor(processorHere).map(({ path }) => path)
  for (const name of ['package.json', 'proto', 'bin', ...packages]) cpSync(join(top, name), join(tree, name), { recursive: true })
  symlinkSync(`../node_modules/${processors[processorHere].node}/bin/node`, join(tree, 'bin/node'))
  return tree
}
