import { expect, test } from 'vitest';
import { IdleCollector } from '../../../../src/shared/util/idle-collector.ts';
import { waitFor } from '../../../helpers/wait-for.ts';

test('a thread that becomes idle is collected once, and again only after it was busy', async () => {
  let told = 0;
  using collector = new IdleCollector({ every: 20, afterwards: () => (told += 1) });
  const garbage = new WeakRef({ text: 'garbage' });
  await waitFor(() => garbage.deref() === undefined, { doing: 'the garbage to be collected' });
  expect(collector.collections).toBe(1);
  expect(told).toBe(1);

  const until = performance.now() + 100;
  while (performance.now() < until) Math.sqrt(until);
  await waitFor(() => collector.collections === 2, { doing: 'the second collection' });
});
