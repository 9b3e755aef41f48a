/** What other tools call what a command here does: whoever types it is told. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ['rm', 'rmi'],
  ['delete', 'rmi'],
  ['remove', 'rmi'],
  ['ls', 'images'],
  ['list', 'images'],
  ['image', 'images'],
  ['get', 'images, or inspect'],
  ['describe', 'inspect'],
  ['show', 'inspect'],
  ['explain', 'why'],
  ['prune', 'gc'],
  ['logs', 'journalctl -u windlass, or history'],
  ['status', 'doctor, top, or ps'],
  ['info', 'doctor, or version'],
  ['stats', 'top'],
  ['events', 'top, or history'],
  ['fetch', 'pull'],
  ['copy', 'pull, or save'],
  ['export', 'save'],
  ['import', 'load'],
  ['umount', 'unmount'],
  ['login', 'pull --creds, or what docs/registries.md says of logins'],
  ['daemon', 'serve'],
])

/** Commander's guess goes by the letters alone. */
export const withOtherNames = (text: string): string =>
  text.replace(/unknown command '(.+?)'(?:\n\(Did you mean .*\?\))?/, (said, name: string) => {
    const meant = OTHER_NAMES.get(name)
    return meant === undefined ? said : `unknown command '${name}'\n(Did you mean ${meant}?)`
  })
