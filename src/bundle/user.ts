/**
 * Who a container runs as: the image's User resolved against the image's own passwd and group (image-spec config.md, "User").
 * Lines that do not have the form of passwd(5) or group(5) are passed over, as libc does.
 */
import { fail } from '../failure/failure.ts'

/** What runtime-spec's `process.user` holds. */
export type ProcessUser = { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] }

/** The image's files, asked for only when they are needed; undefined where the image has none. */
export type UserFiles = { readonly passwd: () => string | undefined; readonly group: () => string | undefined }

/** Linux ids as container runtimes bound them. */
const MAX_ID = 2 ** 31 - 1

/**
 * `user`, `uid`, `user:group`, `uid:gid` and their mixtures; root where nothing is said. A number is always an id, never a name. Without a
 * group, the user's own and supplementary groups apply; with one, that alone. The primary group is in `additionalGids` too: dropping out
 * of a group must not give rights. Throws invalid-argument for names the image does not know and numbers out of bounds.
 */
export function resolveUser(text: string | undefined, files: UserFiles): ProcessUser {
  const [userPart = '', groupPart, ...more] = (text ?? '').split(':')
  if (more.length > 0) refuse(text, 'want user[:group]')
  const entry = passwdEntry(userPart, text, files)
  if (groupPart !== undefined && groupPart !== '') {
    const gid = groupId(groupPart, text, files)
    return { uid: entry.uid, gid, additionalGids: [gid] }
  }
  const { name } = entry
  const extra =
    name === undefined ? [] : groupsOf(files.group()).flatMap(({ gid, members }) => (members.includes(name) ? [gid] : []))
  return { uid: entry.uid, gid: entry.gid, additionalGids: [...new Set([entry.gid, ...extra])] }
}

type PasswdEntry = { readonly name?: string; readonly uid: number; readonly gid: number }

function passwdEntry(user: string, text: string | undefined, files: UserFiles): PasswdEntry {
  const asId = idOf(user === '' ? '0' : user, text)
  const found = usersOf(files.passwd()).find((entry) => (asId === undefined ? entry.name === user : entry.uid === asId))
  if (found !== undefined) return found
  // An id need not be in passwd; its group is root's then (image-spec: implementation-defined; all runtimes do so).
  return asId === undefined ? refuse(text, `the image's /etc/passwd has no user ${JSON.stringify(user)}`) : { uid: asId, gid: 0 }
}

function groupId(group: string, text: string | undefined, files: UserFiles): number {
  const asId = idOf(group, text)
  if (asId !== undefined) return asId
  const found = groupsOf(files.group()).find(({ name }) => name === group)
  return found?.gid ?? refuse(text, `the image's /etc/group has no group ${JSON.stringify(group)}`)
}

/** The id a number stands for; undefined for a name. */
function idOf(part: string, text: string | undefined): number | undefined {
  if (!/^[+-]?\d+$/.test(part)) return undefined
  return asBoundedId(part) ?? refuse(text, `ids go from 0 to ${MAX_ID}`)
}

function asBoundedId(digits: string | undefined): number | undefined {
  if (digits === undefined || !/^\d{1,10}$/.test(digits)) return undefined
  const id = Number(digits)
  return id <= MAX_ID ? id : undefined
}

/** name:password:uid:gid:… */
const usersOf = (passwd: string | undefined): (PasswdEntry & { readonly name: string })[] =>
  fieldsOf(passwd).flatMap(([name = '', , uidText, gidText]) => {
    const [uid, gid] = [asBoundedId(uidText), asBoundedId(gidText)]
    return name === '' || uid === undefined || gid === undefined ? [] : [{ name, uid, gid }]
  })

/** name:password:gid:member,member */
const groupsOf = (
  group: string | undefined,
): { readonly name: string; readonly gid: number; readonly members: readonly string[] }[] =>
  fieldsOf(group).flatMap(([name = '', , gidText, members = '']) => {
    const gid = asBoundedId(gidText)
    return name === '' || gid === undefined ? [] : [{ name, gid, members: members.split(',') }]
  })

const fieldsOf = (text: string | undefined): string[][] =>
  (text ?? '')
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.split(':').map((field) => field.trim()))

function refuse(text: string | undefined, reason: string): never {
  fail({ kind: 'invalid-argument', what: `User ${JSON.stringify(text ?? '')} of the image`, reason })
}
