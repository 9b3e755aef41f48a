/** The thread that has layers written out early. */
import { serve } from '../../src/store/common/thread.ts'
import { startWriting, syncFileSystem } from './ways.ts'

export type StarterDuties = { range(directory: number): null; syncfs(directory: number): null }

serve(() => ({
  range: (directory: number) => {
    startWriting(directory)
    return null
  },
  syncfs: (directory: number) => {
    syncFileSystem(directory)
    return null
  },
}))
