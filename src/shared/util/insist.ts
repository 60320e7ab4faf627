import { setTimeout as delay } from 'node:timers/promises';

const maxTries = 10;
/** First pause between two tries, and the longest, in milliseconds. */
const firstPause = 200;
const longestPause = 5000;

/**
 * Does what has to be done, up to ten times within half a minute beside its own time. Throws the last failure, or at once
 * when `signal` is aborted.
 */
export async function insist(signal: AbortSignal, work: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await work();
      return;
    } catch (error) {
      if (tries >= maxTries || signal.aborted) throw error;
    }
    await delay(Math.min(firstPause * 2 ** (tries - 1), longestPause), undefined, { signal });
  }
}
