import { describe, expect, test } from 'vitest';
import { type Deferred, deferred } from '../../../src/shared/util/deferred.ts';
import { Environment, type Table } from '../../../src/store/environment.ts';
import { GroupCommit } from '../../../src/store/group-commit.ts';
import { keyOf, rangeOf } from '../../../src/store/keys.ts';
import type { WriteSet } from '../../../src/store/write-set.ts';
import { temporaryDirectory } from './fixture.ts';

async function openTable(): Promise<{ environment: Environment; table: Table }> {
  const directory = await temporaryDirectory();
  const environment = await Environment.open(`${directory}/test.mdb`, { tables: ['things'], durability: 'disk' });
  return { environment, table: environment.table('things') };
}

const value = Buffer.from('value');
const key = (name: string) => keyOf('all', name);
const namesIn = (keys: Iterable<Buffer>) =>
  Array.from(keys, (found) => found.toString().split('\0')[1] ?? '').toSorted();

/** A commit that waits to be let through, and what was asked of it. */
function gate() {
  const batches: string[][] = [];
  const waiting: Deferred<void>[] = [];
  const commit = (writes: WriteSet): Promise<void> => {
    batches.push(Array.from(writes.writes(), (write) => write.key.toString()));
    const one = deferred<void>();
    waiting.push(one);
    return one.promise;
  };
  return { batches, commit, next: () => waiting.shift() };
}

describe('changes of an environment', () => {
  test('of the same turn see each other, in their order, and readers see them when they are durable', async () => {
    const { environment, table } = await openTable();
    const first = environment.change((change) => change.put(table, key('one'), value));
    const second = environment.change((change) => {
      const seen = change.get(table, key('one'));
      change.remove(table, key('one'));
      change.put(table, key('two'), value);
      return { seen, left: namesIn(change.keys(table, rangeOf('all'))) };
    });
    const third = environment.change((change) => namesIn(change.keys(table, rangeOf('all'))));
    expect(table.get(key('one'))).toBeUndefined();
    await first;
    expect(await second).toEqual({ seen: value, left: ['two'] });
    expect(await third).toEqual(['two']);
    expect(namesIn(table.getKeys(rangeOf('all')))).toEqual(['two']);
    await environment.close();
  });

  test('that throw are undone, and the others are not', async () => {
    const { environment, table } = await openTable();
    await environment.change((change) => change.put(table, key('kept'), value));
    const settled = await Promise.allSettled([
      environment.change((change) => change.put(table, key('before'), value)),
      environment.change((change) => {
        change.put(table, key('undone'), value);
        change.remove(table, key('kept'));
        throw new Error('no');
      }),
      environment.change((change) => change.put(table, key('after'), value)),
    ]);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(namesIn(table.getKeys(rangeOf('all')))).toEqual(['after', 'before', 'kept']);
    await environment.close();
  });

  test('that wait are on the disk when it has closed', async () => {
    const directory = await temporaryDirectory();
    const file = `${directory}/test.mdb`;
    const options = { tables: ['things'], durability: 'disk' } as const;
    const environment = await Environment.open(file, options);
    const table = environment.table('things');
    const changes = Array.from({ length: 200 }, (_, i) =>
      environment.change((change) => change.put(table, key(String(i)), value)),
    );
    await environment.close();
    await Promise.all(changes);
    await expect(environment.change(() => undefined)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const again = await Environment.open(file, options);
    expect(again.table('things').getKeysCount({})).toBe(200);
    await again.close();
  });
});

describe('GroupCommit', () => {
  test('gathers what comes while the disk is busy, and tells nobody before its own commit is through', async () => {
    const { table, environment } = await openTable();
    const { batches, commit, next } = gate();
    const group = new GroupCommit({ name: 'test', reserve: () => undefined, commit });
    const told: string[] = [];
    const put = (name: string) =>
      group.change((change) => change.put(table, keyOf(name), value)).then(() => told.push(name));
    const all = [put('a')];
    await expect.poll(() => batches.length).toBe(1);
    all.push(put('b'), put('c'), put('d'));
    expect(told).toEqual([]);
    next()?.resolve();
    await expect.poll(() => batches.length).toBe(2);
    expect(told).toEqual(['a']);
    next()?.resolve();
    await Promise.all(all);
    expect(batches).toEqual([['a'], ['b', 'c', 'd']]);
    await environment.close();
  });

  test('fails those whose commit failed, and goes on with the next', async () => {
    const { table, environment } = await openTable();
    const { batches, commit, next } = gate();
    const group = new GroupCommit({ name: 'test', reserve: () => undefined, commit });
    const failing = group.change((change) => change.put(table, keyOf('a'), value));
    await expect.poll(() => batches.length).toBe(1);
    const other = group.change((change) => change.put(table, keyOf('b'), value));
    next()?.reject(new Error('the disk is broken'));
    await expect(failing).rejects.toThrow('the disk is broken');
    await expect.poll(() => batches.length).toBe(2);
    next()?.resolve();
    await other;
    await environment.close();
  });

  test('refuses only what does not fit into the reserve, and what comes when too many wait', async () => {
    const { table, environment } = await openTable();
    const { commit, next, batches } = gate();
    const group = new GroupCommit({
      name: 'test',
      reserve: (bytes) => {
        if (bytes > 100) throw new Error('no room');
      },
      commit,
    });
    const put = (bytes: number) => group.change((change) => change.put(table, keyOf('k'), Buffer.alloc(bytes)));
    const outcomes = Promise.allSettled([put(60), put(60), put(30)]);
    await expect.poll(() => batches.length).toBe(1);
    const waiting = Array.from({ length: 4096 }, () => group.change(() => undefined));
    await expect(put(1)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    next()?.resolve();
    expect((await outcomes).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    await Promise.all(waiting);
    await environment.close();
  });
});
