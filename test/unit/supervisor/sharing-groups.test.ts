import { expect, test } from 'vitest';
import { parseShimId } from '../../../src/shared/identifiers.ts';
import { silentLogger } from '../../../src/shared/log/logger.ts';
import { SharingGroups } from '../../../src/supervisor/sharing-groups.ts';
import { Shim } from '../../../src/supervisor/shim.ts';
import { fakeSlot, namespace } from './fixture.ts';

const newShim = (id: string) =>
  new Shim({
    namespace,
    id: parseShimId(id),
    mode: 'shared',
    binary: '/bin/shim',
    bundle: `/s/${id}`,
    slot: fakeSlot(0, () => ({})),
    state: { kind: 'starting' },
    logger: silentLogger,
  });

test('a group is kept as long as it has a shim, and not longer', () => {
  const groups = new SharingGroups();
  const group = groups.get('a');
  const [one, two] = [newShim('one'), newShim('two')];
  groups.add(group, one);
  groups.add(group, two);
  groups.remove(one);
  expect(groups.get('a')).toBe(group);
  expect(groups.has(one)).toBe(false);
  expect(groups.has(two)).toBe(true);
  groups.remove(two);
  expect(groups.size).toBe(0);
});

test('a group whose only start failed is not kept', async () => {
  const groups = new SharingGroups();
  const failing = Promise.reject<Shim>(new Error('no'));
  groups.addStart(groups.get('a'), { promise: failing, claims: 1 });
  expect(groups.size).toBe(1);
  await failing.catch(() => undefined);
  await Promise.resolve();
  expect(groups.size).toBe(0);
});
