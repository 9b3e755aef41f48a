/** The kustomize base, and whatever else the chart makes: current, and of one piece with what is written by hand. */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { made } from '../../scripts/chart/chart.ts'
import { readImageLists } from '../../src/config/image-list.ts'
import { loadConfig } from '../../src/config/load.ts'

const top = resolve(import.meta.dirname, '..', '..')
const read = (path: string): string => readFileSync(join(top, path), 'utf8')

describe('what npm run chart makes', () => {
  it('is current', () => {
    for (const [path, text] of made()) expect(read(path), `${path}: npm run chart`).toBe(text)
  })

  it('is what the kustomization is about', () => {
    const kustomization = z
      .object({
        namespace: z.string(),
        resources: z.array(z.string()),
        configMapGenerator: z.array(z.object({ name: z.string(), files: z.array(z.string()) })),
        images: z.tuple([z.object({ name: z.string(), newTag: z.string() })]),
      })
      .parse(parse(read('deploy/kubernetes/kustomization.yaml')))
    const at = (path: string): string => join('deploy/kubernetes', path)
    const files = [...kustomization.resources, ...kustomization.configMapGenerator.flatMap((each) => each.files)]
    expect(files.filter((path) => !existsSync(join(top, at(path))))).toEqual([])
    const text = read(at('daemonset.yaml'))
    for (const { name } of [...kustomization.configMapGenerator, ...kustomization.images]) expect(text).toContain(name)
    expect(readImageLists(join(top, at('lists/base.yaml')))).toMatchObject([{ name: 'base' }])
    // The guide's overlay changes what is there.
    const [, overlay = ''] = /```yaml\n# kustomization\.yaml\n([\s\S]*?)```/.exec(read('docs/operate.md')) ?? []
    expect(parse(overlay)).toMatchObject({
      resources: [expect.stringMatching(/\/deploy\/kubernetes$/)],
      images: [{ name: kustomization.images[0].name }],
      configMapGenerator: [
        { name: kustomization.configMapGenerator[1]?.name, namespace: kustomization.namespace, behavior: 'replace' },
      ],
    })
    expect(loadConfig({ file: join(top, at('windlass.yaml')), flags: {}, env: {} }).warnings).toEqual([])
  })
})
