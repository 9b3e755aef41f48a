/** What the store has to say outside of answers; pino's logger fits. */
export type StoreLog = {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export const silent: StoreLog = { info: () => {}, warn: () => {}, error: () => {} }

/** One line of the log as it travels from a worker. */
export type LogLine = {
  readonly level: keyof StoreLog
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}
