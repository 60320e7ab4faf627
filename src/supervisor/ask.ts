import { deadlineExceeded, failedPrecondition, hasCode, TaskError } from '../shared/errors/index.ts';
import type { OperationKind, OperationOf, ReplyOf } from '../shared/messages/index.ts';
import { deadlineIn, earlier, until } from '../shared/util/deadline.ts';
import type { CallOptions } from './options.ts';
import type { Shim } from './shim.ts';
import type { Task } from './task.ts';

/** How long after its deadline a thread's own answer to it is awaited, in milliseconds; the slot gives up before. */
export const answerGrace = 2000;

/** A thread that is lost again and again is replaced after 10 s at most, and then has to load. */
const longestBackoff = 15_000;

/** Throws FAILED_PRECONDITION where the task's shim is gone. */
export function shimOf(task: Task): Shim {
  if (task.shim !== undefined) return task.shim;
  throw failedPrecondition(
    `container ${task.ref.task} init process is not running: its shim is gone: failed precondition`,
  );
}

/**
 * Runs an operation in the shim's slot, once that knows the shim. Counts deadlines that pass, so that others can tell a
 * shim that is late.
 */
export async function ask<K extends OperationKind>(
  shim: Shim,
  operation: OperationOf<K> & { readonly kind: K; readonly deadline: number },
  signal?: AbortSignal,
): Promise<ReplyOf<K>> {
  const doing = `${operation.kind} in shim ${shim.id}`;
  await shim.usable({ deadline: operation.deadline, doing, signal });
  try {
    const reply = await until(shim.slot.run<K>(operation), {
      deadline: operation.deadline + answerGrace,
      doing,
      signal,
    });
    shim.overdue = 0;
    shim.late = false;
    return reply;
  } catch (error) {
    if (hasCode(error, 'DEADLINE_EXCEEDED')) shim.overdue += 1;
    throw error;
  }
}

/**
 * Waits while a new thread takes the shim over: what it is asked about a task before that, it does from the bundle alone,
 * and the adoption would bring back what has just been removed. Never throws: a shim that stays silent is for the bundle.
 */
export async function adoptionOver(shim: Shim, load: number, signal: AbortSignal, doing: string): Promise<void> {
  const limit = deadlineIn(load + answerGrace + longestBackoff);
  while (shim.state.kind === 'adopting' && Date.now() < limit && !signal.aborted) {
    // Short, as nobody tells when it turns out to be silent.
    await shim.usable({ deadline: Math.min(limit, deadlineIn(200)), doing, signal }).catch(() => undefined);
  }
}

/** The deadline of an operation: what is configured, or the caller's where that is earlier. */
export function deadlineOf(budget: number, call: CallOptions): number {
  return earlier(deadlineIn(budget), call.deadline);
}

/** Waits for what goes on without its caller, as long as the caller does. */
export function join<T>(whole: Promise<T>, budget: number, call: CallOptions, doing: string): Promise<T> {
  return until(whole, {
    deadline: earlier(deadlineIn(budget + answerGrace), call.deadline),
    doing,
    signal: call.signal,
  });
}

/** Nobody would know of what was made for a caller who has been told already that it was not. Throws CANCELLED, DEADLINE_EXCEEDED. */
export function assertAwaited(doing: string, { deadline, signal }: CallOptions): void {
  if (signal?.aborted) throw new TaskError('CANCELLED', `${doing}: the caller gave up: context canceled`);
  if (deadline !== undefined && Date.now() >= deadline) {
    throw deadlineExceeded(`${doing}: made too late for its caller, and undone: deadline exceeded`);
  }
}
