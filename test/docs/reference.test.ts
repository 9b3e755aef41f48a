/** The reference pages say what the program does: every key, every default, every variable, every metric. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { z } from 'zod'
import { explained, groups } from '../../scripts/errors/kinds.ts'
import { errorsPage } from '../../scripts/errors/page.ts'
import { loadConfig } from '../../src/config/load.ts'
import { configDocument } from '../../src/config/print.ts'
import { configurationSchema } from '../../src/config/schema.ts'
import { isForwardable } from '../../src/cri/forwardable.ts'
import { serveMetrics } from '../../src/metrics/serve.ts'

const top = join(import.meta.dirname, '..', '..')
const page = (name: string): string => readFileSync(join(top, 'docs', name), 'utf8')
/** The cells of the rows of a page's tables. */
const rows = (text: string): string[][] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '').trim()))

function keysOf(schema: unknown, path = ''): string[] {
  let inner = schema
  while (inner instanceof z.ZodOptional) inner = inner.unwrap()
  if (inner instanceof z.ZodArray && inner.element instanceof z.ZodObject) return keysOf(inner.element, `${path}[]`)
  if (!(inner instanceof z.ZodObject)) return [path]
  return Object.entries(inner.shape).flatMap(([key, value]) => keysOf(value, path === '' ? key : `${path}.${key}`))
}

describe('docs/configuration.md', () => {
  const table = rows(page('configuration.md'))
  const documented = new Map(table.map(([key = '', value = '']) => [key.replaceAll('`', ''), value]))

  it('has every key of the file, and no other', () => {
    const keys = keysOf(configurationSchema).filter((key) => !['apiVersion', 'kind'].includes(key))
    expect([...documented.keys()].toSorted()).toEqual([...new Set(keys)].toSorted())
  })

  it('has their defaults', () => {
    const document: Record<string, unknown> = { ...configDocument(loadConfig({ flags: {}, env: {}, usual: '/not/there' })) }
    const valueAt = (key: string): unknown =>
      key.split('.').reduce<unknown>((value, part) => (value as Record<string, unknown> | undefined)?.[part], document)
    for (const [key, said] of documented) {
      const value = valueAt(key)
      if (value === undefined) continue
      expect(`${key} ${said}`).toBe(`${key} \`${stringify(value).trim()}\``)
    }
  })

  /** What each may be set to, so that it shows. */
  const samples: Readonly<Record<string, string>> = {
    rootDir: '/elsewhere',
    'socket.path': '/elsewhere.sock',
    'socket.mode': '0600',
    'runtime.kind': 'crio',
    'runtime.endpoint': '/elsewhere.sock',
    'runtime.failurePolicy': 'Fail',
    'registry.configPath': '/elsewhere',
    'registry.registriesConf': '/elsewhere',
    'registry.progressTimeout': '2s',
    'metrics.bindAddress': '127.0.0.1:1',
    'logging.format': 'text',
    'logging.level': 'debug',
  }
  const flags = {
    '--root': 'root',
    '--socket': 'socket',
    '--hosts-dir': 'hostsDir',
    '--runtime': 'runtime',
    '--runtime-endpoint': 'runtimeEndpoint',
  } as const
  const isFlag = (word: string): word is keyof typeof flags => Object.hasOwn(flags, word)

  it('says of each variable and flag which key it is', () => {
    const usual = { usual: '/not/there' }
    const leaf = (document: unknown, key: string): unknown =>
      key.split('.').reduce<unknown>((value, part) => (value as Record<string, unknown> | undefined)?.[part], document)
    const before = configDocument(loadConfig({ flags: {}, env: {}, ...usual }))
    const said = table.flatMap(([key = '', , , how = '']) =>
      [...how.matchAll(/`([^`]+)`/g)].map(([, word = '']) => [key.replaceAll('`', ''), word] as const),
    )
    expect(
      said
        .filter(([, word]) => isFlag(word))
        .map(([, word]) => word)
        .toSorted(),
    ).toEqual(Object.keys(flags).toSorted())
    for (const [key, word] of said) {
      const sample = samples[key] ?? '7'
      const sources = isFlag(word) ? { flags: { [flags[word]]: sample }, env: {} } : { flags: {}, env: { [word]: sample } }
      const after = leaf(configDocument(loadConfig({ ...sources, ...usual })), key)
      expect(after, `${word} sets ${key}`).not.toEqual(leaf(before, key))
      expect(String(after), `${word} sets ${key}`).toContain(sample)
    }
  })

  it('has every variable', () => {
    const source = readFileSync(join(top, 'src/config/load.ts'), 'utf8')
    const variables = [...new Set(source.match(/WINDLASS_[A-Z_]+/g))].toSorted()
    expect([...new Set(page('configuration.md').match(/WINDLASS_[A-Z_]*[A-Z]/g))].toSorted()).toEqual(variables)
  })
})

describe('docs/errors.md', () => {
  it('is what npm run errors makes', () => {
    expect(page('errors.md')).toBe(errorsPage())
  })

  it('has every kind once, each with examples that say what to do', () => {
    const kinds = groups.flatMap(([, each]) => each)
    expect(kinds.toSorted()).toEqual(Object.keys(explained).toSorted())
    expect(kinds.toSorted()).toEqual(Object.keys(isForwardable).toSorted())
  })
})

describe('docs/forwarding.md', () => {
  it('has every kind of failure, and says which are handed on', () => {
    const table = rows(page('forwarding.md')).filter((cells) => cells.length === 3)
    const said = new Map(
      table.flatMap(([kinds = '', isHandedOn]) =>
        [...kinds.matchAll(/`([^`]+)`/g)].map(([, kind = '']) => [kind, isHandedOn === 'yes']),
      ),
    )
    expect(Object.fromEntries(said)).toEqual(isForwardable)
  })
})

describe('docs/metrics.md', () => {
  it('has every metric with its labels and their words, and no other', async () => {
    await using metrics = await serveMetrics({
      host: '127.0.0.1',
      port: 0,
      version: '1',
      pulls: () => ({ inFlight: 0, queued: 0 }),
      disk: async () => ({ usedBytes: 1, totalBytes: 1, availableBytes: 1, totalInodes: 1, availableInodes: 1 }),
      damagedLayers: () => 0,
      prepull: () => ({ images: [{ list: 'base', state: 'here' }], problems: 0 }),
      whyNotReady: async () => undefined,
      isRuntimeUp: async () => true,
      onError: () => {},
    })
    metrics.forwarded('x')
    const phases = { queue: 0, resolve: 0, layers: 0, seal: 0, whole: 0 }
    metrics.pull({ registry: 'r', result: 'pulled', reason: '', bytesHere: 0, phases })
    metrics.layer({ source: 'r', codec: 'gzip', bytes: 1, unpackMs: 1 })
    metrics.request({ host: 'r', method: 'GET', code: '200', headMs: 1 })
    metrics.retried('r')
    metrics.gaveUp('r')
    metrics.call({ method: '/a.B/C', type: 'unary', code: 'OK', ms: 1 })
    const text = await (await fetch(`http://127.0.0.1:${metrics.port}/metrics`)).text()
    const shown = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => {
      const labels = new RegExp(`^${name}(?:_count)?\\{([^}]*)\\}`, 'm').exec(text)?.[1] ?? ''
      return { name, type, labels: [...labels.matchAll(/(\w+)="/g)].map(([, label]) => label) }
    })
    const documented = rows(page('metrics.md')).filter(([name = '']) => /^`[a-z]+_\w+`$/.test(name))
    expect(documented.map(([name]) => name)).toEqual(shown.map(({ name }) => `\`${name}\``))
    for (const [at, { type, labels }] of shown.entries()) {
      expect(documented[at]?.[1]).toContain(type)
      for (const label of labels) expect(documented[at]?.[2]).toContain(`\`${label}\``)
    }
    for (const [, reason = ''] of text.matchAll(/^windlass_passthrough\{reason="([^"]+)"\}/gm))
      expect(page('metrics.md')).toContain(`\`${reason}\``)
  })
})
