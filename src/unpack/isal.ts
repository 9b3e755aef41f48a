/** ISA-L, an optional library: what it does faster, zlib or our own code does as well. */
import koffi from 'koffi'

/** The library; undefined where it is not installed, and with `WINDLASS_NO_ISAL=1`. */
export function openIsal(): ReturnType<typeof koffi.load> | undefined {
  if (process.env.WINDLASS_NO_ISAL === '1') return undefined
  try {
    return koffi.load('libisal.so.2')
  } catch {
    return undefined
  }
}
