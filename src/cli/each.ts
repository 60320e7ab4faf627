import { TaskError } from '../shared/errors/index.ts';
import type { Context } from './context.ts';
import { exitStatus } from './exit-status.ts';
import { oneLine } from './failure.ts';

/** What became of one of several: what it gave, or why not. */
export type Outcome<T> =
  | { readonly id: string; readonly result: T }
  | { readonly id: string; readonly error: TaskError };

/**
 * Does the same to several containers at once; one that fails stops none of the others. Each failure is one line on
 * standard error.
 */
export async function forEach<T>(
  context: Context,
  ids: readonly string[],
  action: (id: string) => Promise<T>,
): Promise<{ readonly outcomes: readonly Outcome<T>[]; readonly status: number }> {
  const outcomes = await Promise.all(
    [...new Set(ids)].map(async (id): Promise<Outcome<T>> => {
      try {
        return { id, result: await action(id) };
      } catch (error) {
        return { id, error: TaskError.from(error) };
      }
    }),
  );
  const messages = new Set<string>();
  for (const outcome of outcomes) if ('error' in outcome) messages.add(oneLine(outcome.error));
  for (const message of messages) context.warn(message);
  return { outcomes, status: messages.size > 0 ? exitStatus.failed : exitStatus.ok };
}

/** The outcomes as `--json` prints them: `error` with `code` and `message` where one failed. */
export function outcomesAsData<T extends object>(outcomes: readonly Outcome<T>[]): unknown[] {
  return outcomes.map((outcome) =>
    'error' in outcome
      ? { id: outcome.id, error: { code: outcome.error.code, message: outcome.error.message } }
      : { id: outcome.id, ...outcome.result },
  );
}
