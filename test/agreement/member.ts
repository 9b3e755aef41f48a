/** What every reader is asked to say about a member, in one form that can be compared. */

export type Member = {
  readonly type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'character' | 'block' | 'fifo'
  /** Bytes in latin1, as the headers have them. */
  readonly name: string
  readonly link: string
  readonly size: number
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Whole seconds, rounded down. */
  readonly mtime: number
  readonly major: number
  readonly minor: number
}

/** A reader's account of one archive. With an error, `members` are those before it. */
export type Account = { readonly members: readonly Member[]; readonly error: string | undefined }

/**
 * One line a member. What has no meaning for a type (a link's size, a file's link target) is left out, and so are slashes at a name's
 * end: readers differ in whether they show them, and the type says what they would.
 */
export function show(member: Member): string {
  const { type, name, link, size, mode, uid, gid, mtime, major, minor } = member
  const extra =
    type === 'file'
      ? ` size ${size}`
      : type === 'symlink' || type === 'hardlink'
        ? ` → ${JSON.stringify(link)}`
        : type === 'character' || type === 'block'
          ? ` device ${major},${minor}`
          : ''
  return `${type} ${JSON.stringify(name.replace(/\/+$/, ''))} ${(mode & 0o7777).toString(8)} ${uid}/${gid} @${mtime}${extra}`
}

export const showAll = ({ members }: Account): string => members.map(show).join('\n')
