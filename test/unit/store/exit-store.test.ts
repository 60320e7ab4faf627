import { describe, expect, test } from 'vitest';
import { parseExecId, parseNamespace, parseTaskId } from '../../../src/shared/identifiers.ts';
import type { StoredExit } from '../../../src/store/exit-store.ts';
import { namespace, openStore, temporaryDirectory } from './fixture.ts';

const task = parseTaskId('task');
const init = { namespace, task };
const exec = { ...init, exec: parseExecId('exec') };
const seen: StoredExit = { pid: 5, status: 3, exitedAt: { seconds: 1_700_000_000, nanos: 7 }, source: 'wait' };
const madeUp: StoredExit = { ...seen, status: 137, source: 'made-up' };

const open = async () => (await openStore(await temporaryDirectory())).exits;

describe('ExitStore', () => {
  test('keeps the first exit that was seen', async () => {
    const exits = await open();
    expect(exits.get(init)).toBeUndefined();
    expect(exits.put(init, seen)).toBe('stored');
    expect(exits.put(init, { ...seen, status: 9, source: 'event' })).toBe('kept');
    expect(exits.put(init, madeUp)).toBe('kept');
    expect(exits.get(init)).toEqual(seen);
  });

  test('knows which exits are owed to a client, and to whom', async () => {
    const exits = await open();
    exits.put(init, { ...seen, owed: 'anybody' });
    exits.put(exec, seen);
    expect(exits.get(init)).toEqual({ ...seen, owed: 'anybody' });
    exits.setOwed(init, 'client');
    expect(exits.get(init)).toEqual({ ...seen, owed: 'client' });
    exits.setOwed(init, undefined);
    exits.setOwed(exec, undefined);
    expect([...exits.list()].map(({ exit }) => exit)).toEqual([seen, seen]);
    exits.removeTask(init);
    exits.setOwed(init, 'client');
    expect(exits.get(init)).toBeUndefined();
  });

  test('replaces a made-up exit by one that was seen, once', async () => {
    const exits = await open();
    expect(exits.put(init, madeUp)).toBe('stored');
    expect(exits.put(init, { ...madeUp, status: 1 })).toBe('kept');
    expect(exits.get(init)).toEqual(madeUp);
    expect(exits.put(init, { ...seen, source: 'state' })).toBe('stored');
    expect(exits.put(init, seen)).toBe('kept');
    expect(exits.get(init)).toMatchObject({ status: 3, source: 'state' });
  });

  test('keeps init, execs, tasks and namespaces apart', async () => {
    const exits = await open();
    const other = { namespace, task: parseTaskId('task2') };
    const elsewhere = { namespace: parseNamespace('other'), task };
    for (const [status, ref] of [init, exec, other, elsewhere].entries()) exits.put(ref, { ...seen, status });
    expect([...exits.list()].map(({ process, exit }) => [process, exit.status])).toEqual([
      [init, 0],
      [exec, 1],
      [other, 2],
      [elsewhere, 3],
    ]);
  });

  test('forgets a task with its execs, or one exec, and nothing else', async () => {
    const exits = await open();
    const other = { namespace, task: parseTaskId('task2') };
    for (const ref of [init, exec, other]) exits.put(ref, seen);
    exits.removeExec(exec);
    exits.removeExec(exec);
    expect([...exits.list()].map(({ process }) => process)).toEqual([init, other]);
    exits.put(exec, seen);
    exits.removeTask(init);
    exits.removeTask(init);
    expect([...exits.list()].map(({ process }) => process)).toEqual([other]);
  });

  test('can be written while it is listed', async () => {
    const exits = await open();
    for (let i = 0; i < 10; i++) exits.put({ namespace, task: parseTaskId(`t${i}`) }, seen);
    let count = 0;
    for (const { process } of exits.list()) {
      exits.removeTask(process);
      count++;
    }
    expect(count).toBe(10);
    expect([...exits.list()]).toEqual([]);
  });

  test('holds main for well under a millisecond an exit', async () => {
    const exits = await open();
    const count = 2_000;
    const began = performance.now();
    for (let i = 0; i < count; i++) exits.put({ namespace, task: parseTaskId(`t${i}`) }, seen);
    expect((performance.now() - began) / count).toBeLessThan(1);
  });
});
