import { expect, it } from 'vitest'
import { tracingFrom } from '../../src/trace/environment.ts'

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318/' }

it('asks for nothing where no endpoint is set, or tracing is off', () => {
  expect(tracingFrom({})).toEqual({ warnings: [] })
  expect(tracingFrom({ OTEL_SERVICE_NAME: 'x', OTEL_EXPORTER_OTLP_ENDPOINT: ' ' })).toEqual({ warnings: [] })
  expect(tracingFrom({ ...endpoint, OTEL_SDK_DISABLED: 'True' })).toEqual({ warnings: [] })
  expect(tracingFrom({ ...endpoint, OTEL_TRACES_EXPORTER: 'none' })).toEqual({ warnings: [] })
})

it('goes by the variables of the specification', () => {
  const { settings, warnings } = tracingFrom({
    ...endpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Basic%20YTpi, x-tenant = blue',
    OTEL_EXPORTER_OTLP_TIMEOUT: '250',
    OTEL_EXPORTER_OTLP_CERTIFICATE: '/ca.pem',
    OTEL_RESOURCE_ATTRIBUTES: 'k8s.node.name=n1,service.name=other,team=a%2Cb',
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0.25',
  })
  expect(warnings).toEqual([])
  expect(settings).toEqual({
    url: new URL('http://collector:4318/v1/traces'),
    headers: { authorization: 'Basic YTpi', 'x-tenant': 'blue' },
    timeoutMs: 250,
    certificate: '/ca.pem',
    serviceName: 'other',
    resource: { 'k8s.node.name': 'n1', team: 'a,b' },
    sampler: { isParentBased: true, ratio: 0.25 },
  })
})

it('prefers what is said of traces, and the name of the service', () => {
  const { settings } = tracingFrom({
    ...endpoint,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://traces.example/in',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json',
    OTEL_RESOURCE_ATTRIBUTES: 'service.name=other',
    OTEL_SERVICE_NAME: 'puller',
    OTEL_TRACES_SAMPLER: 'always_off',
  })
  expect(settings).toMatchObject({
    url: new URL('https://traces.example/in'),
    serviceName: 'puller',
    sampler: { isParentBased: false, ratio: 0 },
  })
})

it.each([
  [{ ...endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'set it to http/json'],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317' }, 'no http:// or https:// address'],
])('says why nothing is traced: %o', (env, why) => {
  const { settings, warnings } = tracingFrom(env)
  expect(settings).toBeUndefined()
  expect(warnings).toEqual([expect.stringContaining(why)])
})

it('says what it leaves out, and no value that may be secret', () => {
  const { settings, warnings } = tracingFrom({
    ...endpoint,
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization:Bearer secret-one,x=%zzsecret-two,ok=1',
    OTEL_EXPORTER_OTLP_TIMEOUT: '10s',
    OTEL_TRACES_SAMPLER: 'jaeger_remote',
  })
  expect(settings).toMatchObject({ headers: { ok: '1' }, timeoutMs: 10_000, sampler: { isParentBased: true, ratio: 1 } })
  expect(warnings).toHaveLength(4)
  expect(warnings.join()).not.toContain('secret')
})
