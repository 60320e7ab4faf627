/** What is told of a set of durations, in milliseconds. */
export interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** Nearest rank: each is a duration that was really seen. All 0 where there is none. */
export function percentilesOf(durations: readonly number[]): Percentiles {
  const sorted = Float64Array.from(durations).toSorted();
  const rank = (share: number) => toMicroseconds(sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0);
  return { count: sorted.length, p50: rank(0.5), p90: rank(0.9), p99: rank(0.99), max: rank(1) };
}

/** Three digits: the clock is not better. */
function toMicroseconds(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}
