import { describe, expect, test } from 'vitest';
import { type Deferred, deferred } from '../../../../src/shared/util/deferred.ts';
import { shareNext } from '../../../../src/shared/util/share-next.ts';

function shared() {
  const runs: Deferred<string>[] = [];
  const ask = shareNext(() => {
    const run = deferred<string>();
    runs.push(run);
    return run.promise;
  });
  return { runs, ask };
}

describe('shared work', () => {
  test('is begun at once, and once more for all who asked while it was under way', async () => {
    const { runs, ask } = shared();
    const first = ask();
    const later = [ask(), ask(), ask()];
    expect(runs).toHaveLength(1);
    runs[0]?.resolve('first');
    expect(await first).toBe('first');
    await expect.poll(() => runs.length).toBe(2);
    const latest = ask();
    runs[1]?.resolve('second');
    expect(await Promise.all(later)).toEqual(['second', 'second', 'second']);
    await expect.poll(() => runs.length).toBe(3);
    runs[2]?.resolve('third');
    expect(await latest).toBe('third');
  });

  test('is begun anew when nobody waits', async () => {
    const { runs, ask } = shared();
    for (const answer of ['one', 'two']) {
      const asked = ask();
      runs.at(-1)?.resolve(answer);
      expect(await asked).toBe(answer);
    }
    expect(runs).toHaveLength(2);
  });

  test('that fails does so for those who share it, and not for the next', async () => {
    const { runs, ask } = shared();
    const first = ask();
    const second = ask();
    runs[0]?.reject(new Error('no'));
    await expect(first).rejects.toThrow('no');
    await expect.poll(() => runs.length).toBe(2);
    runs[1]?.resolve('yes');
    expect(await second).toBe('yes');
  });
});
