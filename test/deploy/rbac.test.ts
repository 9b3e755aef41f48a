/** The rights that deploy/kubernetes/rbac.yaml gives are those that are used: test/kube's API server refuses everything else. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'

it('gives what is used, and no more', () => {
  const text = readFileSync(join(import.meta.dirname, '../../deploy/kubernetes/rbac.yaml'), 'utf8')
  const documents = parseAllDocuments(text).map((document) => document.toJS())
  const roles = documents.filter(({ rules }) => rules !== undefined)
  expect(roles.map(({ kind, metadata: { namespace }, rules }) => ({ kind, namespace, rules }))).toEqual([
    { kind: 'ClusterRole', namespace: undefined, rules: [{ apiGroups: [''], resources: ['nodes/status'], verbs: ['patch'] }] },
    { kind: 'Role', namespace: 'default', rules: [{ apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] }] },
  ])
  const bindings = documents.filter(({ roleRef }) => roleRef !== undefined)
  expect(bindings.map(({ roleRef: { kind, name } }) => `${kind} ${name}`)).toEqual(
    roles.map(({ kind, metadata: { name } }) => `${kind} ${name}`),
  )
  for (const { subjects } of bindings)
    expect(subjects).toEqual([{ kind: 'ServiceAccount', name: 'windlass', namespace: 'windlass' }])
})
