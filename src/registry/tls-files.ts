/** Certificates as configurations name them: files, read and tried before a connection needs them. */
import { resolve } from 'node:path'
import { createSecureContext } from 'node:tls'
import { fail } from '../failure/failure.ts'
import { readSmall } from './bounded.ts'

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

/** Throws bad-config. */
export async function readTls({ ca, client, skipVerify }: TlsFiles, { dir, file }: NamedIn): Promise<TlsSettings> {
  const refuse = (field: string, reason: string, cause?: unknown): never =>
    fail({ kind: 'bad-config', file, field, reason }, cause)
  const pem = async (field: string, path: string): Promise<string> => {
    const named = resolve(dir, path)
    return (await readSmall(named)) ?? refuse(field, `cannot read ${named}: ENOENT`)
  }
  const authority = async (path: string): Promise<string> => {
    const text = await pem('ca', path)
    // OpenSSL takes a text without a certificate for an empty list of them, and the pull would fail for another reason.
    return /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/.test(text)
      ? text
      : refuse('ca', `${resolve(dir, path)} holds no PEM certificate`)
  }
  const pair = async (files: TlsFiles['client'][number]): Promise<TlsSettings['clients'][number]> => {
    const [cert, key] = await Promise.all([pem('client', files.cert), pem('client', files.key)])
    try {
      createSecureContext({ cert, key })
    } catch (error) {
      refuse('client', `${resolve(dir, files.cert)} and ${resolve(dir, files.key)} are no certificate with its key`, error)
    }
    return { cert, key }
  }
  const [authorities, clients] = await Promise.all([Promise.all(ca.map(authority)), Promise.all(client.map(pair))])
  return { ca: authorities, clients, skipVerify }
}
