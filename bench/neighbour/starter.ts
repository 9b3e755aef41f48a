/** The thread that has layers written out early. */
import { serve } from '../../src/store/common/thread.ts'
import { START_WRITING, startWriting, syncFileSystem, WRITE_AND_WAIT } from './ways.ts'

export type StarterDuties = { range(directory: number): null; wait(directory: number): null; syncfs(directory: number): null }

serve(() => ({
  wait: (directory: number) => {
    startWriting(directory, WRITE_AND_WAIT)
    return null
  },
  range: (directory: number) => {
    startWriting(directory, START_WRITING)
    return null
  },
  syncfs: (directory: number) => {
    syncFileSystem(directory)
    return null
  },
}))
