import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { examined } from '../../src/doctor/examined.ts'
import type { Settings } from '../../src/doctor/finding.ts'
import { startDaemon, testServices } from '../rpc/daemon.ts'

const settingsAt = (path: string, more: Partial<Settings> = {}): Settings => ({
  rootDir: '/var/lib/windlass',
  socket: { path },
  runtime: { kind: 'auto' },
  registry: { configPath: '/gone', registriesConf: '/gone' },
  ...more,
})

describe('what is looked at', () => {
  it('is the daemon that answers, and that it goes by something else than the file is told', async ({ signal }) => {
    await using daemon = await startDaemon(testServices().services)
    const runtime = { kind: 'containerd', endpoint: '/run/c.sock' } as const
    const wanted = settingsAt(daemon.path, { file: '/etc/windlass/windlass.yaml', runtime })
    const { settings, findings } = await examined(wanted, { signal })
    expect(settings).toMatchObject({ rootDir: '/store', runtime: { kind: 'none' } })
    expect(findings).toMatchObject([
      { level: 'ok', text: expect.stringMatching(/^the daemon on .*\(pid \d+\), root \/store, beside no runtime$/) },
      {
        level: 'warn',
        text: expect.stringMatching(
          /go by rootDir \/var\/lib\/windlass and runtime\.kind containerd and runtime\.endpoint \/run\/c\.sock of \/etc\/windlass\/windlass\.yaml: restart/,
        ),
      },
    ])
    expect((await examined(settingsAt(daemon.path, { rootDir: '/store' }), { signal })).findings).toHaveLength(1)
    // Nothing was said that a restart could take over.
    const [, warning] = (await examined(settingsAt(daemon.path), { signal })).findings
    expect(warning?.text).toMatch(/no configuration file: say --config with its file$/)
  })

  it('is what the configuration says, where no daemon answers, and which one that is', async ({ signal }) => {
    await using daemon = await startDaemon(testServices().services)
    const wanted = settingsAt(join(daemon.dir, 'nobody.sock'), { file: '/x.yaml' })
    const { settings, findings } = await examined(wanted, { signal })
    expect(settings).toBe(wanted)
    expect(findings).toMatchObject([{ level: 'ok', text: 'what a daemon would use that reads /x.yaml' }])
    expect((await examined(settingsAt('/nobody.sock'), { signal })).findings[0]?.text).toContain('no configuration file')
  })
})
