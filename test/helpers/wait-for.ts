import { setTimeout as delay } from 'node:timers/promises';

/**
 * Waits until `condition` answers something other than undefined, null or false, and answers that.
 * Asks every `every` ms (default 20) for `budget` ms (default 10,000); then throws with what it waited for and the
 * last error. A condition that throws is asked again.
 */
export async function waitFor<T>(
  condition: () => T | undefined | null | false | Promise<T | undefined | null | false>,
  options: { readonly budget?: number; readonly every?: number; readonly doing?: string } = {},
): Promise<T> {
  const { budget = 10_000, every = 20, doing = 'a condition' } = options;
  const end = Date.now() + budget;
  let problem: unknown;
  for (;;) {
    try {
      const answer = await condition();
      if (answer !== undefined && answer !== null && answer !== false) return answer;
      problem = undefined;
    } catch (error) {
      problem = error;
    }
    if (Date.now() >= end) {
      throw new Error(`waited ${budget} ms for ${doing}`, { cause: problem });
    }
    await delay(every);
  }
}
