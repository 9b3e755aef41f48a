/** Certificates of a test's own, made by openssl. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const hasOpenssl = (() => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

const nothing = { cert: '', key: '' }

/** A CA, a server certificate for `names` and a client certificate, as PEM; empty texts where there is no openssl. */
export function makeCertificates(names = 'IP:127.0.0.1') {
  if (!hasOpenssl) return { ca: '', server: nothing, client: nothing }
  const dir = mkdtempSync(join(tmpdir(), 'windlass-tls-'))
  const openssl = (...words: string[]) => execFileSync('openssl', words, { cwd: dir, stdio: 'ignore' })
  const read = (name: string) => readFileSync(join(dir, name), 'utf8')
  const newKey = ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '1', '-extfile', 'san']
  try {
    openssl(...newKey, '-x509', '-subj', '/CN=test CA', '-days', '1', '-keyout', 'ca.key', '-out', 'ca.pem')
    writeFileSync(join(dir, 'san'), `subjectAltName=${names}`)
    for (const name of ['server', 'client']) {
      openssl(...newKey, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`)
      openssl('x509', '-req', '-in', `${name}.csr`, ...signed, '-out', `${name}.pem`)
    }
    return {
      ca: read('ca.pem'),
      server: { cert: read('server.pem'), key: read('server.key') },
      client: { cert: read('client.pem'), key: read('client.key') },
    }
  } finally {
    rmSync(dir, { recursive: true })
  }
}
