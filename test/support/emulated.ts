/** Loaded before the tests of `npm run arm64`: what passes there must have run there. */
if (process.arch !== 'arm64') throw new Error(`these tests were to run on arm64, and run on ${process.arch}`)
