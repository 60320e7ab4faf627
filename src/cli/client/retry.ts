import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../shared/errors/index.ts';

/**
 * Repeats `attempt`, which has to be repeatable, while the daemon is UNAVAILABLE and `budget` milliseconds have not
 * passed; then throws its last error.
 */
export async function whileUnavailable<T>(budget: number, attempt: () => Promise<T>): Promise<T> {
  const end = Date.now() + budget;
  for (let pause = 50; ; pause = Math.min(pause * 2, 1000)) {
    try {
      return await attempt();
    } catch (error) {
      if (!hasCode(error, 'UNAVAILABLE') || Date.now() + pause > end) throw error;
      await sleep(pause);
    }
  }
}
