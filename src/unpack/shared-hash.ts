/**
 * A SHA-256 that two threads feed in turn, by the OpenSSL in Node's own binary: one of node:crypto belongs to the thread that made it. Who
 * feeds it and when is for them to agree on.
 */
import koffi from 'koffi'
import { type Digest, digestOfHex } from '../oci/digest.ts'

const node = koffi.load(null)
const openssl = {
  create: node.func('EVP_MD_CTX_new', 'uintptr_t', []),
  free: node.func('EVP_MD_CTX_free', 'void', ['uintptr_t']),
  sha256: node.func('EVP_sha256', 'uintptr_t', []),
  begin: node.func('EVP_DigestInit_ex', 'int', ['uintptr_t', 'uintptr_t', 'uintptr_t']),
  update: node.func('EVP_DigestUpdate', 'int', ['uintptr_t', 'void *', 'size_t']),
  end: node.func('EVP_DigestFinal_ex', 'int', ['uintptr_t', 'void *', 'void *']),
}

/** Valid in every thread of this process, until it is freed. */
export type HashAddress = number | bigint

export function createHash(): HashAddress {
  const hash: HashAddress = openssl.create()
  if (Number(hash) === 0 || openssl.begin(hash, openssl.sha256(), 0) !== 1) throw new Error('OpenSSL has no SHA-256 to give')
  return hash
}

export function feed(hash: HashAddress, bytes: Uint8Array): void {
  if (openssl.update(hash, bytes, bytes.length) !== 1) throw new Error('OpenSSL does not hash')
}

/** The digest of all that was fed; once. */
export function digestOf(hash: HashAddress): Digest {
  const digest = Buffer.alloc(32)
  if (openssl.end(hash, digest, null) !== 1) throw new Error('OpenSSL does not hash')
  return digestOfHex(digest.toString('hex'))
}

export function free(hash: HashAddress): void {
  openssl.free(hash)
}
