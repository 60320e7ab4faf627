import type { Footprint } from './footprint.ts';

/** The first round warms up; from the second on nothing may grow. */
const firstCounted = 2;
/** Rounds that it takes to judge. */
export const roundsToJudge = 5;
const mostGrowth = 1.1;
/** Descriptors of connections come and go; a leak makes more than this in thousands of tasks. */
const mostNewDescriptors = 16;

export interface Flatness {
  readonly flat: boolean;
  /** Bytes. */
  readonly before: number;
  readonly after: number;
  readonly growth: number;
  readonly newDescriptors: number;
}

/**
 * Whether what is left between equal rounds stays the same: the last one's anonymous memory within 1.1 of the second's.
 * What files take is shared with whatever other program of Node runs on the host, and grows when that ends. Undefined
 * for fewer than five rounds, or where one of the two was not measured.
 */
export function flatnessOf(settled: readonly (Footprint | undefined)[]): Flatness | undefined {
  const before = settled[firstCounted - 1];
  const after = settled.at(-1);
  if (settled.length < roundsToJudge || before === undefined || after === undefined) return undefined;
  const growth = after.anonymous / before.anonymous;
  const newDescriptors = after.descriptors - before.descriptors;
  const flat = growth <= mostGrowth && newDescriptors <= mostNewDescriptors;
  return { flat, before: before.anonymous, after: after.anonymous, growth, newDescriptors };
}
