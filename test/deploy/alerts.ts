/** What each alert is about, as series a minute apart, as promtool writes them: such that it goes off, and such that it must not. */

export type Series = readonly (readonly [series: string, values: string])[]
export type Case = { readonly fires: Series; readonly still: Series; readonly after: string }

const node = 'job="windlass",instance="n1"'
const failed = (reason: string, values: string): Series[number] => [
  `windlass_image_pulls_total{${node},registry="r.example",result="failed",reason="${reason}"}`,
  values,
]
const pulled = (values: string): Series[number] => [
  `windlass_image_pulls_total{${node},registry="r.example",result="pulled"}`,
  values,
]
const one = (series: string, values: string): Series => [[series, values]]
const bucket = (le: string, values: string): Series[number] => [
  `windlass_image_pull_duration_seconds_bucket{${node},phase="whole",le="${le}"}`,
  values,
]

export const CASES: Readonly<Record<string, Case>> = {
  WindlassRuntimeDown: {
    fires: one(`windlass_runtime_up{${node}}`, '1 0x30'),
    still: one(`windlass_runtime_up{${node}}`, '1 0 0 0 1x30'),
    after: '20m',
  },
  WindlassNotPulling: {
    fires: one(`windlass_passthrough{${node},reason="not-open"}`, '1x30'),
    still: one(`windlass_passthrough{${node},reason="switched"}`, '1x30'),
    after: '20m',
  },
  WindlassSwitchedOff: {
    fires: one(`windlass_passthrough{${node},reason="switched"}`, '1x1500'),
    still: one(`windlass_passthrough{${node},reason="switched"}`, '1x600 0x900'),
    after: '1450m',
  },
  WindlassRegistryUnavailable: {
    fires: [failed('registry-unavailable', '0+1x40')],
    still: [failed('registry-unavailable', '0 1 1x40')],
    after: '30m',
  },
  WindlassRateLimited: {
    fires: [failed('rate-limited', '0+1x60')],
    still: [failed('denied', '0+0x60')],
    after: '40m',
  },
  WindlassLoginsRefused: {
    fires: [failed('denied', '0+1x60')],
    still: [failed('denied', '0 1 2 2x60')],
    after: '50m',
  },
  WindlassPullsFailing: {
    fires: [failed('bad-layer', '0+1x90'), pulled('0+1x90')],
    still: [failed('manifest-unknown', '0+1x90'), failed('bad-layer', '0+1x90'), pulled('0+10x90')],
    after: '60m',
  },
  WindlassPullsSlow: {
    fires: [bucket('300', '0+1x90'), bucket('600', '0+10x90'), bucket('+Inf', '0+10x90')],
    still: [bucket('300', '0+10x90'), bucket('600', '0+10x90'), bucket('+Inf', '0+10x90')],
    after: '60m',
  },
  WindlassPullsWaiting: {
    fires: one(`windlass_image_pulls_queued{${node}}`, '0 2x40'),
    still: one(`windlass_image_pulls_queued{${node}}`, '2x20 0 2x20'),
    after: '30m',
  },
  WindlassTagsStale: {
    fires: one(`windlass_image_pulls_total{${node},registry="r.example",result="stale"}`, '0+1x60'),
    still: [pulled('0+1x60')],
    after: '40m',
  },
  WindlassDiskAlmostFull: {
    fires: [
      [`windlass_image_fs_available_bytes{${node}}`, '5x40'],
      [`windlass_image_fs_size_bytes{${node}}`, '100x40'],
    ],
    still: [
      [`windlass_image_fs_available_bytes{${node}}`, '15x40'],
      [`windlass_image_fs_size_bytes{${node}}`, '100x40'],
    ],
    after: '20m',
  },
  WindlassInodesAlmostGone: {
    fires: [
      [`windlass_image_fs_inodes_available{${node}}`, '5x40'],
      [`windlass_image_fs_inodes{${node}}`, '100x40'],
    ],
    // A file system that makes them as it needs them.
    still: [
      [`windlass_image_fs_inodes_available{${node}}`, '0x40'],
      [`windlass_image_fs_inodes{${node}}`, '0x40'],
    ],
    after: '20m',
  },
  WindlassLayersDamaged: {
    fires: one(`windlass_damaged_layers{${node}}`, '1x40'),
    still: one(`windlass_damaged_layers{${node}}`, '1x10 0x30'),
    after: '20m',
  },
  WindlassListNotWhole: {
    fires: one(`windlass_prepull_images{${node},list="base",state="failed"}`, '1x90'),
    still: one(`windlass_prepull_images{${node},list="base",state="unprotected"}`, '1x90'),
    after: '70m',
  },
  WindlassListProblems: {
    fires: one(`windlass_prepull_list_problems{${node}}`, '1x40'),
    still: one(`windlass_prepull_list_problems{${node}}`, '0x40'),
    after: '20m',
  },
  WindlassRestarting: {
    fires: [
      [`process_start_time_seconds{${node}}`, '1 1 2 2 3 3 4x40'],
      [`windlass_build_info{${node},version="1"}`, '1x40'],
    ],
    // Somebody else's.
    still: [
      ['process_start_time_seconds{job="other",instance="n1"}', '1 1 2 2 3 3 4x40'],
      [`windlass_build_info{${node},version="1"}`, '1x40'],
    ],
    after: '20m',
  },
  WindlassLate: {
    fires: one(`windlass_event_loop_delay_seconds{${node},quantile="0.99"}`, '0.8x40'),
    still: one(`windlass_event_loop_delay_seconds{${node},quantile="1"}`, '0.8x40'),
    after: '30m',
  },
  WindlassSpansLost: {
    fires: one(`windlass_trace_spans_total{${node},outcome="dropped"}`, '0+1x90'),
    still: one(`windlass_trace_spans_total{${node},outcome="sent"}`, '0+1x90'),
    after: '60m',
  },
}

/** For promtool: of each case, whether the alert is among those that are firing. */
export function promtoolTests(rules: string): object {
  const testOf = (alert: string, series: Series, after: string, fires: boolean): object => ({
    interval: '1m',
    name: `${alert} ${fires ? 'goes off' : 'is still'}`,
    input_series: series.map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [
      {
        expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`,
        eval_time: after,
        exp_samples: [{ labels: '{}', value: fires ? 1 : 0 }],
      },
    ],
  })
  const tests = Object.entries(CASES).flatMap(([alert, { fires, still, after }]) => [
    testOf(alert, fires, after, true),
    testOf(alert, still, after, false),
  ])
  return { rule_files: [rules], evaluation_interval: '1m', tests }
}
