import { openLocalStore } from '../../../src/store/local/local.ts'
import { storeContract } from '../contract.ts'
import { temporaryRoot } from './place.ts'

storeContract('the local store', async () => {
  const place = temporaryRoot()
  return {
    open: () => openLocalStore({ root: place.root }, { signal: new AbortController().signal }),
    destroy: async () => place[Symbol.dispose](),
  }
})
