/** What this room says to the log: fields, then a sentence. pino's logger is one. */
export type Log = {
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
}

export const silent: Log = { info: () => {}, warn: () => {} }
