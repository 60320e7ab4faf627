/** The value below which `share` of the sorted values are. */
export function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** Least, middle and greatest of the repetitions of one figure. */
export function spread(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const median =
    sorted.length % 2 === 1 ? sorted[Math.floor(middle)] : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
  return { min: sorted[0], median, max: sorted.at(-1) };
}

/** Runs `work` in `width` loops at once, `count` times in all, and answers the milliseconds that it took. */
export async function inParallel(width, count, work) {
  let next = 0;
  const began = performance.now();
  const loop = async (worker) => {
    while (next < count) {
      const turn = next;
      next += 1;
      await work(turn, worker);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, (_, worker) => loop(worker)));
  return performance.now() - began;
}

/** Milliseconds that `work` takes. */
export async function timed(work) {
  const began = performance.now();
  await work();
  return performance.now() - began;
}
