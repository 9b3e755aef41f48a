/** The file system that images are on, for whoever asks which daemon this is. */
import { type Disk, measureDisk } from '../gc/disk.ts'
import type { Log } from '../pull/log.ts'
import type { Disk as DiskMessage } from '../rpc/generated/windlass/v1/Disk.ts'
import type { InfoResponse } from '../rpc/generated/windlass/v1/InfoResponse.ts'
import type { Store } from '../store/store.ts'
import { hasNoStore } from './status.ts'

export const diskMessage = ({ path, totalBytes, availableBytes, usedPercent }: Disk): DiskMessage => ({
  path,
  totalBytes,
  availableBytes,
  usedPercent,
})

/** Nothing where there is no store, or it cannot be looked at: which daemon this is can be said all the same. */
export async function diskOf(
  node: () => { readonly store: Pick<Store, 'overlayDir' | 'usage'> },
  log: Log,
): Promise<Pick<InfoResponse, 'disk' | 'imageBytes'>> {
  try {
    const { store } = node()
    const [{ usedBytes }, disk] = await Promise.all([store.usage(), measureDisk(store.overlayDir)])
    return { disk: diskMessage(disk), imageBytes: usedBytes }
  } catch (error) {
    if (!hasNoStore(error)) log.warn({ err: error }, 'the disk that images are on could not be looked at')
    return {}
  }
}
