/**
 * The SQLite file: opened, checked, brought to this version's schema, or set aside when it is damaged. WAL with synchronous=FULL: a
 * transaction that has returned survives a power cut (sqlite.org/pragma.html#pragma_synchronous).
 */
import { closeSync, existsSync, openSync, renameSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { type Failure, fail, failureOf, systemFailure, WindlassError } from '../../failure/failure.ts'
import type { StoreLog } from '../common/log.ts'
import { migrations } from './schema.ts'

/** Opens the database, or a fresh one where the file is damaged: the daemon always starts. Throws unsupported (newer schema), no-space, system. */
export function openDatabase(file: string, log: StoreLog): DatabaseSync {
  try {
    return openSound(file)
  } catch (error) {
    if (!isDamage(error)) throw asFailure(error, file)
    const aside = setAside(file)
    log.error(
      { database: file, aside, reason: String(error) },
      'the database is damaged: it is set aside, and a new one is made of layers.json and images.json',
    )
    return openSound(file)
  }
}

class Damaged extends Error {}

function openSound(file: string): DatabaseSync {
  // Image configs may hold what nobody else should read. The journal takes its mode from the file.
  closeSync(openSync(file, 'a', 0o600))
  const db = new DatabaseSync(file)
  try {
    db.exec(
      'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 16777216',
    )
    const complaint = firstOf(db, 'PRAGMA quick_check(1)')
    if (complaint !== 'ok') throw new Damaged(`quick_check: ${String(complaint)}`)
    migrate(db, file)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function migrate(db: DatabaseSync, file: string): void {
  const version = z.int().parse(firstOf(db, 'PRAGMA user_version'))
  if (version > migrations.length) {
    fail({
      kind: 'unsupported',
      what: 'database schema',
      mediaType: `version ${version}`,
      hint: `${file} was written by a newer windlass, this one knows versions up to ${migrations.length}; use that one, or another --root`,
    })
  }
  migrations.slice(version).forEach((statements, i) => {
    transaction(db, file, () => db.exec(`${statements}; PRAGMA user_version = ${version + i + 1}`))
  })
}

const firstOf = (db: DatabaseSync, pragma: string): unknown => Object.values(db.prepare(pragma).get() ?? {})[0]

/** Renames the file with its journal and returns where it went. */
function setAside(file: string): string {
  const aside = `${file}.damaged-${new Date().toISOString().replaceAll(':', '')}`
  for (const suffix of ['', '-wal', '-shm']) {
    if (existsSync(file + suffix)) renameSync(file + suffix, aside + suffix)
  }
  return aside
}

/** Runs `work` in one transaction: all of it is on disk when this returns, or none of it. Throws no-space, system. */
export function transaction<T>(db: DatabaseSync, file: string, work: () => T): T {
  try {
    db.exec('BEGIN IMMEDIATE')
    const result = work()
    db.exec('COMMIT')
    return result
  } catch (error) {
    // A full disk makes SQLite roll back by itself.
    if (db.isTransaction) db.exec('ROLLBACK')
    throw asFailure(error, file)
  }
}

/**
 * Runs a part of a transaction's work; if it fails, nothing of it is left and the rest can go on. Throws what the whole transaction failed
 * of: a full disk makes SQLite roll all of it back.
 */
export function attempt<T>(db: DatabaseSync, file: string, part: () => T): T | WindlassError {
  db.exec('SAVEPOINT part')
  try {
    const result = part()
    db.exec('RELEASE part')
    return result
  } catch (error) {
    if (!db.isTransaction) throw error
    db.exec('ROLLBACK TO part; RELEASE part')
    return asFailure(error, file)
  }
}

/** Primary result codes (sqlite.org/rescode.html); extended ones carry them in the low byte. */
const SQLITE_CORRUPT = 11
const SQLITE_FULL = 13
const SQLITE_NOTADB = 26
const damaged = new Set([SQLITE_CORRUPT, SQLITE_NOTADB])

const sqliteError = z.object({ code: z.literal('ERR_SQLITE_ERROR'), errcode: z.int(), errstr: z.string() })

const isDamage = (error: unknown): boolean => {
  if (error instanceof Damaged) return true
  const { data } = sqliteError.safeParse(error)
  return data !== undefined && damaged.has(data.errcode & 0xff)
}

function asFailure(error: unknown, file: string): WindlassError {
  if (error instanceof WindlassError) return error
  const { data } = sqliteError.safeParse(error)
  return new WindlassError(data === undefined ? failureOf(error) : sqliteFailure(data.errcode & 0xff, data.errstr, file), error)
}

const sqliteFailure = (code: number, text: string, file: string): Failure =>
  code === SQLITE_FULL ? systemFailure('sqlite', 'ENOSPC', file) : { kind: 'system', operation: 'sqlite', path: file, code: text }
