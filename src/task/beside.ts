/** The program of a worker or process, beside its caller's file and with the same extension: `.ts` in a clone, `.js` where it is compiled. */
export const beside = (caller: string, name: string): URL => new URL(`./${name}${caller.slice(caller.lastIndexOf('.'))}`, caller)
