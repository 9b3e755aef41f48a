/** The Debian package on a machine with systemd: installed, upgraded and downgraded while images are pulled, and removed. */
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { processorHere } from '../../scripts/release/components.ts'
import { makeDeb } from '../../scripts/release/deb.ts'
import { copyModules, layOut, settle, writeManifest } from '../../scripts/release/tree.ts'
import type { Abortable } from '../../src/task/task.ts'
import { callerOf } from '../integration/caller.ts'
import { here } from '../integration/images.ts'
import { lacking } from '../integration/lacking.ts'
import { eventually } from '../integration/node.ts'
import { bootSystemd, type Machine, unifiedCgroups } from '../integration/systemd.ts'
import { startRegistry, type TestRegistry } from '../registry/embedded-registry.ts'
import { buildImage, buildLayer, publish } from '../support/image.ts'

const [SOCKET, HOME] = ['/run/windlass/windlass.sock', '/usr/lib/windlass']
const [OLD, NEW] = ['0.1.0', '0.2.0']
const seconds = 1_790_000_000

/** A test machine may lack the right to lower the score, and others may have the port. */
const dropIn =
  '[Service]\nOOMScoreAdjust=0\nEnvironment=WINDLASS_METRICS_ADDRESS=127.0.0.1:0\nStandardError=append:/run/windlass.log\n'

/** Both versions, of one tree. */
function packagesIn(dir: string): Readonly<Record<'old' | 'next', string>> {
  const tree = join(dir, 'release')
  layOut(tree, { version: OLD, processor: processorHere, seconds }, copyModules)
  const make = (version: string): string => {
    writeManifest(tree, version)
    settle(tree, seconds)
    return join(dir, makeDeb(tree, dir, { version, processor: processorHere, seconds }, 'none'))
  }
  return { old: make(OLD), next: make(NEW) }
}

const property = async (machine: Machine, name: string, options: Abortable): Promise<string> =>
  (await machine.run(['systemctl', 'show', '--value', '--property', name, 'windlass.service'], options)).trim()

/** Each pull is of an image of its own, and stands at its layer until `go`. */
function heldPulls(registry: TestRegistry, machine: Machine, options: Abortable) {
  let count = 0
  return async () => {
    const tag = String(++count)
    const layer = buildLayer({ tar: [{ name: 'which', content: tag }] })
    publish(registry, 'test/app', tag, buildImage({ platform: here, layers: [layer] }))
    const gate = Promise.withResolvers<void>()
    const isLayer = (path: string): boolean => path.endsWith(layer.descriptor.digest)
    registry.fault = ({ path }) => (isLayer(path) ? { kind: 'hold', until: gate.promise } : undefined)
    const caller = callerOf(machine.at(SOCKET), options)
    const image = { image: `${registry.host}/test/app:${tag}` }
    const pulled = caller.call((cri) => cri.image.pullImage({ image }, options))
    // A pull that fails before it is waited for is told below all the same.
    pulled.catch(() => {})
    await eventually(async () => registry.requests.some(({ path }) => isLayer(path)), { ...options, seconds: 60 })
    return {
      go: async () => {
        gate.resolve()
        expect((await pulled).imageRef).toMatch(/^sha256:/)
        return caller.repeated
      },
    }
  }
}

describe.skipIf(
  lacking('root', '/lib/systemd/systemd', 'unshare', 'nsenter', 'dpkg', 'dpkg-deb') || unifiedCgroups() === undefined,
)('the Debian package', () => {
  it('goes in, up, down and out under pulls that all succeed', { timeout: 600_000 }, async ({ signal }) => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-deb-'))
    const { old, next } = packagesIn(dir.path)
    await using registry = await startRegistry()
    await using machine = await bootSystemd(dir.path, join(dir.path, 'release'), { 'windlass.service.d/test.conf': dropIn }, [], {
      signal,
    })
    const inside = (...command: readonly string[]) => machine.run(command, { signal })
    const state = (name: string) => property(machine, name, { signal })
    const trees = () =>
      globSync(`${machine.at(HOME)}/*`)
        .map((path) => path.slice(path.lastIndexOf('/') + 1))
        .toSorted()
    const hold = heldPulls(registry, machine, { signal })

    // Where there is no systemd, in a container's build for one, it goes in and out all the same.
    const alone = `mount -t tmpfs tmpfs /run/systemd; dpkg -i ${old} && windlass version && dpkg --purge windlass`
    expect(await inside('unshare', '--mount', 'sh', '-ec', alone)).toContain(`windlass  ${OLD}`)
    expect(existsSync(machine.at(HOME))).toBe(false)

    await inside('dpkg', '-i', old)
    expect(await state('ActiveState')).toBe('inactive')
    expect(await state('UnitFileState')).toBe('disabled')
    await inside('systemctl', 'enable', '--now', 'windlass.socket', 'windlass.service')
    expect(await state('StatusText')).toBe(`answering on ${SOCKET}`)
    expect(trees()).toEqual(['current', 'release', expect.stringMatching(/^run\./)])

    // Unpacked, and not yet configured: the daemon that runs is whole, whatever it has not loaded yet.
    const first = await hold()
    const pid = await state('MainPID')
    await inside('dpkg', '--unpack', next)
    expect(readFileSync(machine.at(`${HOME}/release/package.json`), 'utf8')).toContain(NEW)
    expect(await first.go()).toBe(0)
    expect(await (await hold()).go()).toBe(0)
    expect(await state('MainPID')).toBe(pid)

    const second = await hold()
    await inside('dpkg', '--configure', 'windlass')
    expect(await state('MainPID')).not.toBe(pid)
    expect(await second.go()).toBe(1)
    expect(await inside('windlass', 'version')).toMatch(new RegExp(`windlass +${NEW}[\\s\\S]*daemon +${NEW}`))

    const third = await hold()
    await inside('dpkg', '-i', old)
    expect(await third.go()).toBe(1)
    expect(await inside('windlass', 'version')).toMatch(new RegExp(`windlass +${OLD}[\\s\\S]*daemon +${OLD}`))
    expect(trees()).toEqual(['current', 'release', expect.stringMatching(/^run\./)])
    expect((await inside('windlass', 'images', '-o', 'json')).match(/test\/app:\d/g)).toHaveLength(4)
    expect(readFileSync(machine.at('/run/windlass.log'), 'utf8')).not.toMatch(/"level":"(?:warn|error)".*(?:rights|ended)/)

    await inside('dpkg', '--purge', 'windlass')
    expect(await state('ActiveState')).toBe('inactive')
    expect(existsSync(machine.at(HOME))).toBe(false)
    expect(existsSync(machine.at('/etc/windlass'))).toBe(false)
    expect(statSync(machine.at('/var/lib/windlass/overlay')).isDirectory()).toBe(true)
  })
})
