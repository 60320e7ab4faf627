/** How long a thread has to live for its loss to count as the first one again, in milliseconds. */
const settledAfter = 10_000;
const longest = 10_000;

/**
 * Pause before the thread that replaces a lost one, in milliseconds: none for the first loss, then 100 ms, doubled
 * with each further loss up to 10 s. A slot never gives up, because its shims have no other owner.
 */
export class Backoff {
  #losses = 0;

  next(lived: number): number {
    this.#losses = lived >= settledAfter ? 1 : this.#losses + 1;
    return this.#losses === 1 ? 0 : Math.min(longest, 100 * 2 ** (this.#losses - 2));
  }
}
