import { describe, expect, it } from 'vitest'
import { planOf } from '../../bench/plan.ts'

const names = (args: readonly string[]) =>
  planOf(args).cases.map(({ image, compression, fs, contenders }) => `${image} ${compression} ${fs}: ${contenders.join(' ')}`)

describe('what a benchmark runs', () => {
  it('is everything, with zstd twins, on both file systems; the main image is landed in containerd as well', () => {
    const all = names([])
    expect(all).toHaveLength(4 * 2 * 2)
    expect(all).toContain('debian gzip ext4: windlass landing containerd podman')
    expect(all).toContain('layers-40 zstd tmpfs: windlass containerd podman')
    expect(planOf([])).toMatchObject({ runs: 3, warmUp: true, write: false })
  })

  it('is a part, where a part is asked for', () => {
    expect(names(['--image', 'small-files', '--compression', 'gzip', '--fs', 'tmpfs', '--peer', 'none'])).toEqual([
      'small-files gzip tmpfs: windlass',
    ])
    expect(
      names(['--image', 'debian', '--into', 'containerd', '--compression', 'zstd', '--fs', 'ext4', '--peer', 'containerd']),
    ).toEqual(['debian zstd ext4: landing containerd'])
    expect(planOf(['--runs', '5']).runs).toBe(5)
  })

  it('in haste is one round of what matters most, and of what is asked for by name', () => {
    expect(names(['--quick'])).toEqual([
      'debian gzip tmpfs: windlass landing containerd podman',
      'debian gzip ext4: windlass landing containerd',
      'small-files gzip tmpfs: windlass containerd',
      'big-layer gzip tmpfs: windlass containerd',
      'layers-40 gzip tmpfs: windlass containerd',
    ])
    expect(names(['--quick', '--image', 'big-layer', '--compression', 'zstd', '--fs', 'ext4', '--peer', 'podman'])).toEqual([
      'big-layer zstd ext4: windlass podman',
    ])
    expect(planOf(['--quick'])).toMatchObject({ runs: 1, warmUp: false })
  })

  it.each([
    ['--image', 'ubuntu', /--image ubuntu: want debian, small-files/],
    ['--runs', '0', /--runs 0/],
    ['--into', 'podman', /want own, containerd/],
  ])('refuses %s %s', (option, value, message) => {
    expect(() => planOf([option, value])).toThrow(message)
  })
})
