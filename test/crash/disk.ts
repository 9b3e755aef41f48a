/** A disk of a test's own: an ext4 in a file, whose power can be cut. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AT, check, cstr, wrap } from '../../src/sys/libc.ts'
import { openDirectory } from '../../src/sys/tree.ts'
import type { Abortable } from '../../src/task/task.ts'
import { eventually } from '../integration/node.ts'

const ioctl = wrap<[fd: number, request: number, argument: Buffer]>('ioctl', 'int', ['int', 'ulong', 'void *'])
const FS_IOC_SHUTDOWN = 0x8004587d
/** Not even the journal is flushed, as if the plug had been pulled. */
const NOLOGFLUSH = 2

export class Disk implements Disposable {
  readonly #top = mkdtempSync(join(tmpdir(), 'windlass-disk-'))
  readonly dir = join(this.#top, 'disk')
  readonly #image = join(this.#top, 'image')

  /** `options` are mkfs.ext4's. Everything is laid out now, so that nothing is written behind the test's back later. */
  constructor(size = '512M', options: readonly string[] = []) {
    mkdirSync(this.dir)
    execFileSync('truncate', ['-s', size, this.#image])
    const eager = 'lazy_itable_init=0,lazy_journal_init=0,nodiscard'
    execFileSync('mkfs.ext4', ['-q', '-E', eager, ...options, this.#image])
    this.#attach()
  }

  /** What has not reached the disk by now is gone, and nothing can be written any more. */
  cut(): void {
    using root = openDirectory(AT.FDCWD, cstr(this.dir))
    const flags = Buffer.alloc(4)
    flags.writeUInt32LE(NOLOGFLUSH)
    check(ioctl(root.fd, FS_IOC_SHUTDOWN, flags), 'ioctl FS_IOC_SHUTDOWN')
  }

  /**
   * The machine is on again. A process that was killed lets go a moment after it is gone, and a mount namespace that was made elsewhere may
   * hold a copy of the mount, and with it the file system that is shut: both are waited for.
   */
  async powerOn({ signal }: Abortable): Promise<void> {
    await eventually(async () => spawnSync('umount', [this.dir]).status === 0, { signal, seconds: 60 })
    const isHeld = (): boolean => execFileSync('losetup', ['-j', this.#image], { encoding: 'utf8' }) !== ''
    await eventually(async () => !isHeld(), { signal, seconds: 60 })
    this.#attach()
  }

  [Symbol.dispose](): void {
    if (spawnSync('umount', [this.dir]).status !== 0) spawnSync('umount', ['--lazy', this.dir])
    rmSync(this.#top, { recursive: true })
  }

  #attach(): void {
    execFileSync('mount', ['-o', 'loop', this.#image, this.dir])
  }
}
