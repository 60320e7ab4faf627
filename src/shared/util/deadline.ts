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
export function until<T>(
  promise: Promise<T>,
  limit: { readonly deadline: number; readonly doing: string; readonly signal?: AbortSignal | undefined },
): Promise<T> {
  const { deadline, doing, signal } = limit;
  const budget = remaining(deadline);
  // Every operation passes here several times: one promise, one timer, and a listener only where there is a signal.
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => {
      release();
      reject(deadlineExceeded(`${doing}: no answer within ${budget} ms: deadline exceeded`));
    }, timerOf(budget));
    const giveUp = () => {
      clearTimeout(timer);
      reject(new TaskError('CANCELLED', `${doing}: the caller gave up: context canceled`));
    };
    const release = onAbort(signal, giveUp);
    const settle = <V>(end: (value: V) => void, value: V): void => {
      clearTimeout(timer);
      release();
      end(value);
    };
    promise.then(
      (value) => settle(resolve, value),
      (error: unknown) => settle(reject, error),
    );
    // Behind the promise: what is answered already is not given up.
    if (signal?.aborted)
      Promise.resolve()
        .then(giveUp)
        .catch(() => undefined);
  });
}

/**
 * Node keeps a list of timers for each length: long ones are rounded up, by less than an eighth, so that there are few.
 * setTimeout takes 2^31 - 1 ms at most and fires at once beyond it.
 */
function timerOf(budget: number): number {
  if (budget < 2000) return budget;
  return Math.min(Math.ceil(budget / 250) * 250, 0x7fff_ffff);
}
