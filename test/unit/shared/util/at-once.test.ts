import { describe, expect, test } from 'vitest';
import { atOnce } from '../../../../src/shared/util/at-once.ts';
import { deferred } from '../../../../src/shared/util/deferred.ts';

describe('work that is done a few at once', () => {
  test('is never more than that, and comes back in order', async () => {
    let under = 0;
    let most = 0;
    const results = await atOnce(
      3,
      Array.from({ length: 20 }, (_, index) => index),
      async (index) => {
        under += 1;
        most = Math.max(most, under);
        // The later ones are the faster ones.
        for (let turn = 0; turn < 20 - index; turn += 1) await Promise.resolve();
        under -= 1;
        return index * 2;
      },
    );
    expect(results).toEqual(Array.from({ length: 20 }, (_, index) => index * 2));
    expect(most).toBe(3);
  });

  test('begins nothing after something failed', async () => {
    const begun: number[] = [];
    const gate = deferred<void>();
    const all = atOnce(2, [0, 1, 2, 3], async (index) => {
      begun.push(index);
      if (index === 0) throw new Error('no');
      await gate.promise;
    });
    await expect(all).rejects.toThrow('no');
    gate.resolve();
    await gate.promise;
    expect(begun).toEqual([0, 1]);
  });

  test('can be none', async () => {
    expect(await atOnce(4, [], async () => 1)).toEqual([]);
  });
});
