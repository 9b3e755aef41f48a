import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOMS } from '../src/unpack/compiled.ts'

/** The rooms from the top down. A file imports from groups below its room's own, and from its own room. */
const GROUPS: readonly (readonly string[])[] = [
  ['main'],
  ['cli', 'config'],
  ['cri', 'control', 'prepull', 'doctor', 'prove'],
  ['pull', 'gc', 'verify', 'credentials', 'archive'],
  ['registry', 'unpack', 'store', 'bundle', 'runtime', 'kube'],
  ['sys', 'rpc', 'metrics', 'trace', 'reference', 'oci', 'platform', 'failure', 'task', 'units', 'version'],
]
/** Leaves do not import each other, except so. */
const LEAVES: Readonly<Partial<Record<string, readonly string[]>>> = {
  oci: ['failure'],
  sys: ['failure'],
  reference: ['oci', 'failure'],
  platform: ['oci', 'failure'],
  rpc: ['oci', 'failure', 'task'],
}

type Edge = { readonly from: string; readonly to: string; readonly dynamic: boolean }

const top = resolve(import.meta.dirname, '..')
const src = join(top, 'src')
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))

/** `from '…'`, `import '…'`, `import('…')`, and `beside(import.meta.url, '…')`, where a worker's file is named. */
const IMPORT =
  /(?:\bfrom\s+|\bimport\s+|(?<dynamic>\bimport\(\s*))'(?<path>\.{1,2}\/[^']+)'|\bbeside\(import\.meta\.url, '(?<program>[^']+)'/g

const edges: readonly Edge[] = files.flatMap((from) =>
  [...withoutComments(readFileSync(join(src, from), 'utf8')).matchAll(IMPORT)].flatMap(({ groups }) => {
    const { path, program, dynamic } = groups ?? {}
    const to = relative(src, resolve(src, dirname(from), path ?? `${program}.ts`))
    return to.endsWith('.ts') ? [{ from, to, dynamic: dynamic !== undefined || program !== undefined }] : []
  }),
)

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
}
const roomOf = (file: string): string => file.split('/')[0]?.replace(/\.ts$/, '') ?? ''
const groupOf = (file: string): number => GROUPS.findIndex((rooms) => rooms.includes(roomOf(file)))
const show = ({ from, to }: Edge): string => `${from} → ${to}`

function isAllowed({ from, to }: Edge): boolean {
  const [room, other] = [roomOf(from), roomOf(to)]
  if (room === other) return true
  if (groupOf(from) !== groupOf(to)) return groupOf(from) < groupOf(to)
  return LEAVES[room]?.includes(other) ?? false
}

/** An implementation is a folder inside a room: only its own room and main know that it exists. */
const isFrontDoor = ({ from, to }: Edge): boolean =>
  roomOf(from) === roomOf(to) || roomOf(from) === 'main' || to.split('/').length === 2 || roomOf(to) === 'rpc'

describe('imports in src/', () => {
  it('finds the files and their imports', () => {
    expect(files.length).toBeGreaterThan(20)
    expect(edges.map(show)).toContain('oci/digest.ts → failure/failure.ts')
    expect(edges.map(show)).toContain('unpack/warden.ts → unpack/warden-thread.ts')
    // A name with an extension in it would be there in a clone, and nowhere else.
    expect(files.filter((file) => /new URL\('[^']*\.ts'/.test(readFileSync(join(src, file), 'utf8')))).toEqual([])
  })

  it('knows every room', () => {
    expect(files.filter((file) => groupOf(file) < 0)).toEqual([])
  })

  it('lead to files that exist, inside src/', () => {
    expect(edges.filter(({ to }) => !files.includes(to)).map(show)).toEqual([])
  })

  it('point one way, and not between rooms of one group', () => {
    expect(edges.filter((edge) => !isAllowed(edge)).map(show)).toEqual([])
  })

  it('of an extractor lead to no rooms but those that its mark in the compile cache stands for', () => {
    const made = new Set(['unpack/extractor.ts'])
    for (const file of made) for (const { from, to } of edges) if (from === file) made.add(to)
    expect([...new Set([...made].map(roomOf))].sort()).toEqual(ROOMS)
  })

  it('of an extractor are all followed when the compile cache is filled', () => {
    const made = new Set(['unpack/extractor.ts', 'unpack/inflating-thread.ts'])
    for (const file of made) for (const { from, to } of edges) if (from === file) made.add(to)
    const filled = edges.filter(({ from }) => from === 'unpack/compiled.ts').flatMap(({ to }) => [...loadedWith(to)])
    expect([...made].filter((file) => !filled.includes(file))).toEqual([])
  })

  it('go through front doors', () => {
    expect(edges.filter((edge) => !isFrontDoor(edge)).map(show)).toEqual([])
  })

  it('make no circle', () => {
    expect(circle(edges.filter(({ dynamic }) => !dynamic))).toEqual([])
  })
})

/** Whatever is loaded together with a file. */
function loadedWith(file: string): ReadonlySet<string> {
  const next = Map.groupBy(
    edges.filter(({ dynamic }) => !dynamic),
    ({ from }) => from,
  )
  const loaded = new Set([file])
  for (const each of loaded) for (const { to } of next.get(each) ?? []) loaded.add(to)
  return loaded
}

describe('the daemon', () => {
  it('opens its store before it loads what answers calls and pulls', () => {
    const first = loadedWith('main/daemon.ts')
    expect([...first]).toContain('store/local/local.ts')
    expect([...first].filter((file) => /^(?:rpc\/server|registry\/client|main\/node)\.ts$/.test(file))).toEqual([])
    expect([...loadedWith('main/serve-own.ts')]).toEqual(
      expect.arrayContaining(['rpc/server.ts', 'registry/client.ts', 'main/node.ts']),
    )
  })
})

describe('these rules', () => {
  const edge = (from: string, to: string): Edge => ({ from, to, dynamic: false })

  it('would see a wrong arrow', () => {
    expect(isAllowed(edge('pull/run.ts', 'registry/registry.ts'))).toBe(true)
    expect(isAllowed(edge('registry/x.ts', 'pull/pull.ts'))).toBe(false)
    expect(isAllowed(edge('registry/x.ts', 'store/store.ts'))).toBe(false)
    expect(isAllowed(edge('failure/failure.ts', 'oci/oci.ts'))).toBe(false)
    expect(isFrontDoor(edge('pull/run.ts', 'store/local/store.ts'))).toBe(false)
    expect(isFrontDoor(edge('main.ts', 'store/local/store.ts'))).toBe(true)
  })

  it('would see a circle', () => {
    expect(circle([edge('a', 'b'), edge('b', 'c'), edge('c', 'b'), edge('a', 'c')])).toEqual(['b', 'c', 'b'])
    expect(circle([edge('a', 'b'), edge('a', 'c'), edge('b', 'c')])).toEqual([])
  })
})

/** The files of one circle, the first one again at the end; empty where there is none. */
function circle(all: readonly Edge[]): string[] {
  const next = Map.groupBy(all, ({ from }) => from)
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (done.has(file)) return []
    for (const { to } of next.get(file) ?? []) {
      const found = visit(to, [...path, file])
      if (found.length > 0) return found
    }
    done.add(file)
    return []
  }
  for (const file of next.keys()) {
    const found = visit(file, [])
    if (found.length > 0) return found
  }
  return []
}
