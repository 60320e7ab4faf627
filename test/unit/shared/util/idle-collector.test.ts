import { expect, test } from 'vitest';
import { IdleCollector } from '../../../../src/shared/util/idle-collector.ts';
import { waitFor } from '../../../helpers/wait-for.ts';

/** Long beside what the host may take from the thread: that counts as work. */
const every = 50;

test('a thread that becomes idle is collected once, and again only after it was busy', async () => {
  let told = 0;
  using collector = new IdleCollector({ every, afterwards: () => (told += 1) });
  const garbage = new WeakRef({ text: 'garbage' });
  await waitFor(() => garbage.deref() === undefined, { doing: 'the garbage to be collected' });
  expect(collector.collections).toBe(1);
  expect(told).toBe(1);

  const until = performance.now() + 3 * every;
  while (performance.now() < until) Math.sqrt(until);
  await waitFor(() => collector.collections === 2, { doing: 'the second collection' });
});

test('what follows a collection is done again, for what other threads have freed meanwhile', async () => {
  let told = 0;
  using collector = new IdleCollector({ every: 20, afterwards: () => (told += 1) });
  const again = await waitFor(() => told > collector.collections + 1, { doing: 'it to be done again, and again' });
  expect(again).toBe(true);
});
