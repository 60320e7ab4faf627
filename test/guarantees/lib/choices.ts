import { type Combination, combinations, generations } from '../../helpers/runtimes.ts';

/** The newest generation's combinations: for what depends on the daemon and not on the shim. */
export const newest: readonly Combination[] = combinations.filter(
  ({ generation }) => generations.length === 0 || generation === generations.at(-1),
);

/** The newest generation with one shim for each task. */
export const newestPerTask: readonly Combination[] = newest.filter(({ placement }) => placement === 'per-task');

/** The newest generation with shared shims; a generation that cannot share where there is no newer one. */
export const newestShared: readonly Combination[] = newest.slice(-1);
