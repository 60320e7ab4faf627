import { expect, test } from 'vitest';
import { EarlyEvents } from '../../../src/daemon/early-events.ts';
import { CleanupStack } from '../../../src/daemon/lifecycle/cleanup-stack.ts';
import { silentLogger } from '../../../src/shared/log/logger.ts';

test('steps run newest first, once, past one that fails and one that hangs', async () => {
  const done: string[] = [];
  const stack = new CleanupStack(silentLogger);
  stack.push('first', () => void done.push('first'));
  stack.push('hangs', () => new Promise(() => undefined), 20);
  stack.push('fails', () => {
    throw new Error('no');
  });
  stack.push('last', async () => void done.push('last'));
  expect(await stack.unwind()).toBe(false);
  expect(done).toEqual(['last', 'first']);
  expect(await stack.unwind()).toBe(true);
  expect(done).toHaveLength(2);
});

test('events that come too early are handed on in their order, the oldest dropped beyond the bound', () => {
  const early = new EarlyEvents<number>(3);
  const received: number[] = [];
  for (const event of [1, 2, 3, 4]) early.take(event);
  early.deliverTo((event) => received.push(event));
  early.take(5);
  expect(received).toEqual([2, 3, 4, 5]);
});
