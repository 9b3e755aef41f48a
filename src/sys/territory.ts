/** What is left of the file system. */
export type Territory = {
  /** Directories in which everything may be made, written and removed, but nothing executed. */
  readonly writable: readonly string[]
  /** Files and directories that may be read. */
  readonly readable: readonly string[]
  /** Files and directories that may be read and executed. */
  readonly executable: readonly string[]
}
