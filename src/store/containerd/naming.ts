/**
 * Names of images are containerd's records. A landing gives its image names before it is known to succeed, and takes them back where it does
 * not: what had a name before has it again, labels and all, unless somebody has changed the record meanwhile.
 */
import { type Failure, fail, failureOf } from '../../failure/failure.ts'
import type { Descriptor } from '../../oci/oci.ts'
import type { Image__Output as Recorded } from '../../rpc/generated/containerd/services/images/v1/Image.ts'
import { Limiter } from '../../task/limiter.ts'
import type { Daemon } from './daemon.ts'
import type { ContainerdLease } from './leases.ts'

export type Naming = {
  readonly name: string
  readonly target: Descriptor
  readonly labels: Readonly<Record<string, string>>
}

/** Disposing it takes the name back, unless it was kept. */
export interface GivenName extends AsyncDisposable {
  keep(): void
}

/** A record that was changed while it was being changed: once is bad luck. */
const ATTEMPTS = 3

/** `record` is what was written over `before`; that was written by `below` where another landing of ours is not sure of it yet either. */
type Giving = {
  readonly name: string
  readonly before: Recorded | undefined
  readonly below: Giving | undefined
  record: Recorded
  state: 'given' | 'kept' | 'taken-back'
}

type Calls = Pick<Daemon, 'call' | 'callUnless' | 'undo'>

export class Names {
  readonly #daemon: Calls
  /** By name: the last one given that may yet be taken back. */
  readonly #last = new Map<string, Giving>()
  /** containerd cannot be told to change only what is still as it was: among ourselves one is at it at a time. */
  readonly #turns = new Limiter(1)

  constructor(daemon: Calls) {
    this.#daemon = daemon
  }

  async find(name: string): Promise<Recorded | undefined> {
    const { images } = await this.#daemon.call('list images', (c, options) =>
      c.images.list({ filters: [`name==${JSON.stringify(name)}`] }, options),
    )
    return images.find((image) => image.name === name)
  }

  /** Sets labels on a record, whoever made it; the others stay, and one that is set to nothing goes. False where there is no such record. */
  async label(name: string, labels: Readonly<Record<string, string>>): Promise<boolean> {
    using _turn = await this.#turn()
    const before = await this.find(name)
    if (before === undefined) return false
    const giving = this.#given(before)
    const paths = Object.keys(labels).map((label) => `labels.${label}`)
    const updated = await this.#daemon.callUnless('NOT_FOUND', 'label an image', ({ images }, options) =>
      // With its target, without which containerd 2.1 ends in a panic.
      images.update({ image: { ...before, labels }, updateMask: { paths } }, options),
    )
    // It is still the one that was given: a landing that fails takes it back all the same.
    if (giving !== undefined && updated?.image != null) giving.record = updated.image
    return updated !== undefined
  }

  async remove(name: string): Promise<void> {
    await this.#daemon.callUnless('NOT_FOUND', 'delete an image', ({ images }, options) =>
      images.delete({ name, sync: false }, options),
    )
  }

  /** Creates the record, or moves it here from wherever it was. Throws runtime, internal. */
  async give(naming: Naming, lease: ContainerdLease): Promise<GivenName> {
    using _turn = await this.#turn()
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const before = await this.find(naming.name)
      const record = await this.#write(naming, before, lease)
      if (record === undefined) continue
      const { name } = naming
      const giving: Giving = { name, before, below: this.#given(before), record, state: 'given' }
      this.#last.set(name, giving)
      return {
        keep: () => {
          giving.state = 'kept'
          this.#forget(giving)
        },
        [Symbol.asyncDispose]: () => this.#daemon.undo(() => this.#takeBack(giving)),
      }
    }
    return fail({ kind: 'internal', what: `the name ${naming.name} came and went ${ATTEMPTS} times while it was given` })
  }

  #turn(): Promise<Disposable> {
    const { signal } = new AbortController()
    return this.#turns.acquire({ signal })
  }

  /** Undefined where there was a record after all, or none any more. */
  async #write(
    { name, target, labels }: Naming,
    before: Recorded | undefined,
    lease: ContainerdLease,
  ): Promise<Recorded | undefined> {
    const { mediaType, digest, size } = target
    const image = { name, target: { mediaType, digest, size }, labels }
    const paths = ['target', ...Object.keys(labels).map((label) => `labels.${label}`)]
    const [code, operation] = before === undefined ? (['ALREADY_EXISTS', 'create'] as const) : (['NOT_FOUND', 'update'] as const)
    const write = this.#daemon.callUnless(
      code,
      `${operation} an image`,
      async ({ images }, options) =>
        before === undefined
          ? await images.create({ image }, options)
          : await images.update({ image, updateMask: { paths } }, options),
      lease.id,
    )
    const written = await write.catch(async (error: unknown) => ({ image: await this.#writtenAllTheSame(image, before, error) }))
    return written === undefined
      ? undefined
      : (written.image ?? fail({ kind: 'internal', what: `containerd names no image ${name}` }))
  }

  /**
   * What containerd wrote before its answer was lost: such a name is given like any other, and taken back with the rest where the landing
   * fails. Throws the failure where it wrote nothing, or cannot be asked.
   */
  async #writtenAllTheSame({ name, target, labels }: Naming, before: Recorded | undefined, error: unknown): Promise<Recorded> {
    if (!mayBeDone(failureOf(error))) throw error
    // Of two failures the first one is told.
    const record = await this.find(name).catch(() => undefined)
    const isOurs =
      record?.target?.digest === target.digest &&
      Object.entries(labels).every(([label, value]) => record.labels[label] === value) &&
      (before === undefined || !isSame(before, record))
    if (record === undefined || !isOurs) throw error
    return record
  }

  /** Which of ours wrote this record, where that may yet be taken back. */
  #given(record: Recorded | undefined): Giving | undefined {
    const last = record === undefined ? undefined : this.#last.get(record.name)
    return last !== undefined && isSame(last.record, record) ? last : undefined
  }

  #forget(giving: Giving): void {
    if (this.#last.get(giving.name) === giving) this.#last.delete(giving.name)
  }

  async #takeBack(giving: Giving): Promise<void> {
    using _turn = await this.#turn()
    giving.state = 'taken-back'
    // Kept, or given anew by one of ours: that one goes on to what is below us.
    if (this.#last.get(giving.name) !== giving) return
    let { before, below } = giving
    while (below?.state === 'taken-back') ({ before, below } = below)
    const isOurs = isSame(giving.record, await this.find(giving.name))
    const restored = isOurs ? await this.#restore(giving.name, before) : undefined
    this.#forget(giving)
    if (below?.state !== 'given' || restored === undefined) return
    below.record = restored
    this.#last.set(giving.name, below)
  }

  /** Undefined where there is none any more. */
  async #restore(name: string, before: Recorded | undefined): Promise<Recorded | undefined> {
    if (before === undefined) {
      await this.remove(name)
      return undefined
    }
    const updated = await this.#daemon.callUnless('NOT_FOUND', 'update an image', ({ images }, options) =>
      images.update({ image: before, updateMask: { paths: ['target', 'labels'] } }, options),
    )
    return updated?.image ?? undefined
  }
}

/** The answer was lost, and not the call refused. */
const mayBeDone = (failure: Failure): boolean =>
  failure.kind === 'runtime-down' || (failure.kind === 'runtime' && failure.code === 'DEADLINE_EXCEEDED')

/** One and the same record, untouched: containerd stamps each change, to the nanosecond. */
const isSame = (one: Recorded, other: Recorded | undefined): boolean =>
  stampOf(one) === (other === undefined ? undefined : stampOf(other))

const stampOf = ({ createdAt, updatedAt, target }: Recorded): string =>
  [createdAt?.seconds, createdAt?.nanos, updatedAt?.seconds, updatedAt?.nanos, target?.digest].join(' ')
