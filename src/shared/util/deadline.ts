import { deadlineExceeded, TaskError } from '../errors/index.ts';
import { onAbort } from './on-abort.ts';

/** A point in time (milliseconds since 1970) `budget` milliseconds from now. */
export function deadlineIn(budget: number): number {
  return Date.now() + budget;
}

/** Milliseconds left until `deadline`, at least 0. */
export function remaining(deadline: number): number {
  return Math.max(0, deadline - Date.now());
}

/** The earlier of two deadlines; undefined means none. */
export function earlier(deadline: number, other: number | undefined): number {
  return other === undefined ? deadline : Math.min(deadline, other);
}

/**
 * Waits for `promise`, at most until `deadline` and only while `signal` is not aborted. What `promise` stands for
 * goes on after that; its later rejection is ignored.
 * Throws DEADLINE_EXCEEDED with `doing` in the message, or CANCELLED.
 */
export async function until<T>(
  promise: Promise<T>,
  limit: { readonly deadline: number; readonly doing: string; readonly signal?: AbortSignal | undefined },
): Promise<T> {
  const { deadline, doing, signal } = limit;
  const budget = remaining(deadline);
  let timer: NodeJS.Timeout | undefined;
  let release: (() => void) | undefined;
  const ended = new Promise<never>((_, reject) => {
    // setTimeout takes 2^31 - 1 ms at most and fires at once beyond it.
    timer = setTimeout(
      () => reject(deadlineExceeded(`${doing}: no answer within ${budget} ms: deadline exceeded`)),
      Math.min(budget, 0x7fff_ffff),
    );
    const giveUp = () => reject(new TaskError('CANCELLED', `${doing}: the caller gave up: context canceled`));
    if (signal?.aborted) giveUp();
    else release = onAbort(signal, giveUp);
  });
  // `ended` may reject while `promise` wins: nobody waits for it then.
  ended.catch(() => undefined);
  promise.catch(() => undefined);
  try {
    return await Promise.race([promise, ended]);
  } finally {
    clearTimeout(timer);
    release?.();
  }
}
