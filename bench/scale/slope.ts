/** How a time grows with what it is for: the slope in a log-log plot is 1 for linear, 0 for flat, 2 for quadratic. */

export type Point = readonly [amount: number, seconds: number]

/** By least squares over all points. */
export function slope(points: readonly Point[]): number {
  const logs = points.map(([x, y]) => [Math.log(x), Math.log(y)] as const)
  const mean = (of: (point: readonly [number, number]) => number): number =>
    logs.reduce((sum, point) => sum + of(point), 0) / logs.length
  const [mx, my] = [mean(([x]) => x), mean(([, y]) => y)]
  const [above, below] = logs.reduce(([a, b], [x, y]) => [a + (x - mx) * (y - my), b + (x - mx) ** 2], [0, 0])
  return above / below
}

/** Between the last two: what is constant hides at the beginning, and what is worse than linear shows at the end. */
export const lastSlope = (points: readonly Point[]): number => slope(points.slice(-2))

/** More than measuring the same thing twice differs by. */
const SUPERLINEAR = 1.2

export const isSuperlinear = (points: readonly Point[]): boolean => points.length > 1 && lastSlope(points) > SUPERLINEAR
