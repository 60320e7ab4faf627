import { readdirSync, statfsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseTaskId } from '../../../src/shared/identifiers.ts';
import { silentLogger } from '../../../src/shared/log/logger.ts';
import { Store } from '../../../src/store/store.ts';
import { container, fill, namespace, openStore, smallFileSystem } from './fixture.ts';

const exit = { pid: 1, status: 0, exitedAt: { seconds: 1, nanos: 0 }, source: 'wait' } as const;
const exhausted = expect.objectContaining({ code: 'RESOURCE_EXHAUSTED' });

describe.skipIf(process.getuid?.() !== 0)('Store on a full file system (only root can mount one)', () => {
  test('refuses to be made where there is no room, and leaves nothing', async () => {
    const directory = await smallFileSystem(512 * 1024);
    await expect(Store.open(directory, { logger: silentLogger })).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: expect.stringMatching(/no space is left.*free some/),
    });
    expect(readdirSync(path.join(directory, '.metadata')).filter((name) => name.includes('.mdb'))).toEqual([]);
  });

  test('refuses a container that does not fit and goes on with what it has, over and over', async () => {
    const directory = await smallFileSystem(6 * 1024 * 1024);
    const store = await openStore(directory);
    const big = { spec: { typeUrl: 'spec', value: new Uint8Array(20_000) } };
    let stored = 0;
    const createUntilFull = async () => {
      for (;;) await store.containers.create(namespace, container(`c${stored++}`, big));
    };
    await expect(createUntilFull()).rejects.toEqual(exhausted);
    for (let i = 0; i < 20; i++) {
      await expect(store.containers.create(namespace, container('one-more', big))).rejects.toEqual(exhausted);
    }
    expect(store.containers.page(namespace, { limit: 10_000 })).toHaveLength(stored - 1);

    for (let i = 0; i < stored - 1; i++) await store.containers.delete(namespace, parseTaskId(`c${i}`));
    expect(store.containers.page(namespace, { limit: 10_000 })).toEqual([]);
    await store.close();

    const again = await openStore(directory);
    expect(again.containers.page(namespace, { limit: 10_000 })).toEqual([]);
  });

  test('takes of many that come at once those that fit, and can remove them all at once', async () => {
    const directory = await smallFileSystem(6 * 1024 * 1024);
    const store = await openStore(directory);
    const big = { spec: { typeUrl: 'spec', value: new Uint8Array(20_000) } };
    const ids = Array.from({ length: 600 }, (_, i) => `c${i}`);
    const settled = await Promise.allSettled(ids.map((id) => store.containers.create(namespace, container(id, big))));
    const refused = settled.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    for (const outcome of refused) expect(outcome).toMatchObject({ reason: exhausted });
    const taken = store.containers.page(namespace, { limit: 10_000 });
    expect(taken).toHaveLength(ids.length - refused.length);
    await fill(directory);
    await Promise.all(taken.map(({ id }) => store.containers.delete(namespace, id)));
    expect(store.containers.page(namespace, { limit: 10_000 })).toEqual([]);
    await store.close();
    expect((await openStore(directory)).containers.page(namespace, { limit: 10_000 })).toEqual([]);
  });

  test('has room set aside for hundreds of exits, and can remove on a full file system', async () => {
    const directory = await smallFileSystem(6 * 1024 * 1024);
    const store = await openStore(directory);
    const refOf = (i: number) => ({ namespace, task: parseTaskId(`t${i}`) });
    store.exits.put(refOf(0), exit);
    const ballast = await fill(directory);
    expect(statfsSync(directory).bavail).toBe(0);
    for (let i = 1; i < 500; i++) expect(store.exits.put(refOf(i), exit)).toBe('stored');
    let more = 500;
    const putUntilFull = () => {
      for (;;) store.exits.put(refOf(more++), exit);
    };
    expect(putUntilFull).toThrow(exhausted);
    for (let i = 0; i < 500; i++) store.exits.removeTask(refOf(i));

    await rm(ballast);
    expect(store.exits.put(refOf(0), exit)).toBe('stored');
    await store.close();
    const again = await openStore(directory);
    expect(again.exits.get(refOf(0))).toEqual(exit);
    expect([...again.exits.list()]).toHaveLength(more - 500);
  });

  test('tells of a store that is full, that refuses, and that has room again without a write', async () => {
    const directory = await smallFileSystem(6 * 1024 * 1024);
    const store = await openStore(directory);
    const health = () => new Map(store.health().map(({ component, trouble }) => [component, trouble]));
    expect([...health()]).toEqual([
      ['store', undefined],
      ['event-log', undefined],
    ]);
    const ballast = await fill(directory);
    expect(health().get('store')).toMatchObject({ state: 'degraded', reason: expect.stringContaining('is full') });
    const big = { spec: { typeUrl: 'spec', value: new Uint8Array(20_000) } };
    let stored = 0;
    const createUntilFull = async () => {
      for (;;) await store.containers.create(namespace, container(`c${stored++}`, big));
    };
    await expect(createUntilFull()).rejects.toEqual(exhausted);
    const began = Date.now();
    const refused = health().get('store');
    expect(refused).toMatchObject({ state: 'failed', reason: expect.stringContaining('cannot store') });
    expect(refused?.since).toBeLessThanOrEqual(began);
    // A refusal of its own says nothing of the disk, and neither does a removal that succeeds.
    expect(() => store.containers.get(namespace, parseTaskId('nobody'))).toThrow('not found');
    await store.containers.delete(namespace, parseTaskId('c0'));
    expect(health().get('store')).toEqual(refused);
    const before = store.events.last;
    for (let i = 0; i < 20; i += 1) store.events.append(Buffer.alloc(64 * 1024));
    expect(health().get('event-log')).toMatchObject({ state: 'degraded', reason: expect.stringContaining('ENOSPC') });

    await rm(ballast);
    expect([...health().values()]).toEqual([undefined, undefined]);
    expect(store.events.append(Buffer.from('kept'))).toBe(before + 21);
    expect(store.events.read({ cursor: before + 20 }).entries).toMatchObject([{ value: Buffer.from('kept') }]);
    await store.containers.create(namespace, container('again', big));
    const { last } = store.events;
    await store.close();
    const again = await openStore(directory);
    expect(again.events.last).toBe(last);
  });

  test('opens a store that was made before the file system filled up', async () => {
    const directory = await smallFileSystem(8 * 1024 * 1024);
    const store = await Store.open(directory, { logger: silentLogger });
    await store.containers.create(namespace, container('one'));
    await store.close();
    await fill(directory);
    const again = await openStore(directory);
    expect(again.containers.get(namespace, parseTaskId('one')).id).toBe('one');
    await again.containers.delete(namespace, parseTaskId('one'));
  });
});
