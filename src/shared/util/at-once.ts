/**
 * Does `work` for each item, at most `width` of them at a time, and answers the results in the order of the items. Rejects
 * with the first rejection, and begins nothing after it.
 */
export async function atOnce<T, R>(width: number, items: Iterable<T>, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = [...items].entries();
  let failed = false;
  const next = async (): Promise<void> => {
    for (const [index, item] of queue) {
      if (failed) return;
      try {
        results[index] = await work(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, width) }, next));
  return results;
}
