import type { EventTail } from '../events/index.ts';
import { readEvent } from './read-event.ts';
import type { TaskEvent } from './task-event.ts';

/**
 * Events of one namespace after the cursor `since`, or from now on. Throws OUT_OF_RANGE for a cursor whose next event is not
 * kept any more, here or, where the reader is too slow, from `next`; INVALID_ARGUMENT for one that was never given.
 */
export function namespaceEvents(
  tail: EventTail,
  namespace: string,
  since: number | 'oldest' | undefined,
  signal: AbortSignal | undefined,
): AsyncIterableIterator<TaskEvent, undefined> {
  const from =
    since === undefined
      ? ({ kind: 'now' } as const)
      : since === 'oldest'
        ? ({ kind: 'oldest' } as const)
        : ({ kind: 'after', cursor: since } as const);
  const events = tail.read({ from, filters: [`namespace==${namespace}`], signal });
  const iterator: AsyncIterableIterator<TaskEvent, undefined> = {
    next: async () => {
      const { done, value } = await events.next();
      return done || value === undefined
        ? { done: true, value: undefined }
        : { done: false, value: readEvent(value.envelope, value.cursor) };
    },
    return: async () => {
      await events.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => iterator,
  };
  return iterator;
}
