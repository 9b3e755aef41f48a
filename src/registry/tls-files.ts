/** Certificates as configurations name them: files, read and tried before a connection needs them. */
import { resolve } from 'node:path'
import { createSecureContext } from 'node:tls'
import { fail } from '../failure/failure.ts'
import { readRegular } from '../sys/regular.ts'

/** PEM texts, as read. */
export type TlsSettings = {
  readonly ca: readonly string[]
  readonly clients: readonly { readonly cert: string; readonly key: string }[]
  readonly skipVerify: boolean
}

/** The same as files; relative ones are meant from the directory of the file that names them. */
export type TlsFiles = {
  readonly ca: readonly string[]
  readonly client: readonly { readonly cert: string; readonly key: string }[]
  readonly skipVerify: boolean
}

/** Where they are named, for what is wrong with them. */
export type NamedIn = { readonly dir: string; readonly file: string }

/** A system's bundle of authorities has a quarter of it. */
const MAX_PEM_BYTES = 2 ** 20

/** Throws bad-config. */
export function readTls({ ca, client, skipVerify }: TlsFiles, { dir, file }: NamedIn): TlsSettings {
  const refuse = (field: string, reason: string, cause?: unknown): never =>
    fail({ kind: 'bad-config', file, field, reason }, cause)
  const pem = (field: string, path: string): string => {
    const from = resolve(dir, path)
    const read = readRegular(from, MAX_PEM_BYTES)
    if (read.kind === 'read') return read.bytes.toString()
    return refuse(field, `cannot read ${from}: ${read.kind === 'absent' ? 'there is no such file' : read.reason}`)
  }
  const authority = (path: string): string => {
    const text = pem('ca', path)
    // OpenSSL takes a text without a certificate for an empty list of them, and the pull would fail for another reason.
    return /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/.test(text)
      ? text
      : refuse('ca', `${resolve(dir, path)} holds no PEM certificate`)
  }
  const pair = (files: TlsFiles['client'][number]): TlsSettings['clients'][number] => {
    const [cert, key] = [pem('client', files.cert), pem('client', files.key)]
    try {
      createSecureContext({ cert, key })
    } catch (error) {
      refuse('client', `${resolve(dir, files.cert)} and ${resolve(dir, files.key)} are no certificate with its key`, error)
    }
    return { cert, key }
  }
  return { ca: ca.map(authority), clients: client.map(pair), skipVerify }
}
