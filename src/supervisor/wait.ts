import { TaskError } from '../shared/errors/index.ts';
import type { ProcessRef } from '../shared/identifiers.ts';
import type { Exit } from '../shared/messages/index.ts';
import { until } from '../shared/util/deadline.ts';
import { onAbort } from '../shared/util/on-abort.ts';
import type { Context } from './context.ts';
import type { CallOptions } from './options.ts';
import { checkAwaitable } from './request-checks.ts';
import type { Waiters } from './waiters.ts';

/** Waits for the end of a process; without a deadline of the caller's, for as long as it takes. */
export async function waitForExit(context: Context, ref: ProcessRef, call: CallOptions): Promise<Exit> {
  const { process } = context.registry.process(ref);
  const { state } = process;
  if (state.kind === 'stopped') return exitOf(state.exit);
  checkAwaitable(process);
  const doing = `waiting for process ${ref.exec ?? ref.task}`;
  return exitOf(await waitOn(process.waiters, doing, call));
}

/** Waits for one thing to happen; without a deadline of the caller's, for as long as it takes. */
export async function waitOn<T>(waiters: Waiters<T>, doing: string, call: CallOptions): Promise<T> {
  const { promise, forget } = waiters.add();
  try {
    if (call.deadline !== undefined)
      return await until(promise, { deadline: call.deadline, doing, signal: call.signal });
    return await untilAborted(promise, doing, call.signal);
  } finally {
    forget();
  }
}

async function untilAborted<T>(promise: Promise<T>, doing: string, signal: AbortSignal | undefined): Promise<T> {
  const gaveUp = () => new TaskError('CANCELLED', `${doing}: the caller gave up: context canceled`);
  if (signal?.aborted) throw gaveUp();
  let release: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    release = onAbort(signal, () => reject(gaveUp()));
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    release?.();
  }
}

/** Without what is the daemon's own. */
export function exitOf({ pid, status, exitedAt }: Exit): Exit {
  return { pid, status, exitedAt };
}
