/** The licences of all that a release holds, in one text: ours, then each package's own words. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Component, componentsFor, type Processor } from './components.ts'

const TEXT = /^(?:licen[cs]e|copying|notice)/i

/** koffi's builds for single platforms are packages of their own that leave the licence to koffi's. */
const projectOf = ({ name, path }: Component): string => (name.startsWith('@koromix/koffi-') ? path.replace(name, 'koffi') : path)

/** `tree` holds the packages. Throws where one of them has no licence text. */
export function licencesOf(tree: string, processor: Processor): string {
  const own = readFileSync(join(tree, 'LICENSE'), 'utf8')
  const parts = componentsFor(processor).map((component) => {
    const dir = join(tree, projectOf(component))
    const texts = readdirSync(dir)
      .filter((file) => TEXT.test(file))
      .toSorted()
    if (texts.length === 0) throw new Error(`${component.name} has no licence text in ${dir}; say in licences.ts where it is`)
    return section(component, texts.map((file) => readFileSync(join(dir, file), 'utf8')).join('\n'))
  })
  return [`Windlass is under the Apache License 2.0, and holds the packages named below it.\n\n${own.trim()}\n`, ...parts].join(
    '\n',
  )
}

const section = ({ name, version, license }: Component, text: string): string =>
  `${'='.repeat(100)}\n${name} ${version} (${license})\n\n${text.trim()}\n`
