import { mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseNamespace, parseShimId, parseTaskId, type TaskRef } from '../../../src/shared/identifiers.ts';
import { sharedShimBundle } from '../../../src/shared/layout.ts';
import { isAlive } from '../../helpers/leftovers.ts';
import { waitFor } from '../../helpers/wait-for.ts';
import { createFixtureTask, startFixtureShim } from './fixture-task.ts';
import { TestHost, TestSlot } from './worker-slot.ts';

const namespace = parseNamespace('test');
const shim = parseShimId('shared');
const [good, bad] = ['good', 'bad'].map((name): TaskRef => ({ namespace, task: parseTaskId(name) })) as [
  TaskRef,
  TaskRef,
];

describe('the adoption of a shim with two tasks', () => {
  let host: TestHost;
  let slot: TestSlot;

  beforeEach(async () => {
    host = await TestHost.open();
    slot = await TestSlot.open(host.settings());
  });

  afterEach(async () => {
    await slot.terminate();
    await host.close();
  });

  const fileOf = (ref: TaskRef, name: string): string => path.join(host.directories.state, namespace, ref.task, name);

  /** Both in one shim, of a thread that is lost then. */
  async function launchBoth(runtime: string): Promise<void> {
    await startFixtureShim(slot, namespace, shim, runtime);
    for (const ref of [good, bad]) {
      await createFixtureTask(slot, ref, runtime, { kind: 'running', shim });
      await slot.run({ kind: 'start', ...ref });
    }
    await slot.terminate();
    slot = await TestSlot.open(host.settings());
  }

  const adopt = (...tasks: TaskRef[]) =>
    slot.run({
      kind: 'adopt-shim',
      namespace,
      shim,
      mode: 'shared',
      bundle: sharedShimBundle(host.directories, namespace, shim),
      tasks,
    });

  test('takes over the neighbour of a task that cannot be taken over, and that one when it can', async () => {
    await launchBoth('plain');
    // As an older version left it. What it lacks cannot be added: a directory is where it would be written first.
    const record = readFileSync(fileOf(bad, 'task.json'));
    rmSync(fileOf(bad, 'task.json'));
    const inTheWay = fileOf(bad, `.task.json.${process.pid}.tmp`);
    mkdirSync(inTheWay);
    const reply = await adopt(good, bad);
    expect(reply.shim).toMatchObject({ id: shim });
    expect(reply.tasks.map(({ task, kind }) => [task, kind])).toEqual([
      ['good', 'live'],
      ['bad', 'silent'],
    ]);
    rmdirSync(inTheWay);
    writeFileSync(fileOf(bad, 'task.json'), record);
    expect((await adopt(bad)).tasks).toMatchObject([{ task: 'bad', kind: 'live', processes: [{ status: 'running' }] }]);
    for (const ref of [good, bad]) {
      await slot.run({ kind: 'kill', ...ref, signal: 9, all: false });
      expect(await slot.report('exit', ({ task }) => task === ref.task)).toMatchObject({ status: 137 });
      await slot.run({ kind: 'delete', ...ref });
    }
  });

  test('tells of no shim where that dies of it, and both tasks are gone', async () => {
    await launchBoth('dying-state');
    const pids = [good, bad].map((ref) => Number(readFileSync(fileOf(ref, 'fixture.pid'), 'utf8')));
    writeFileSync(fileOf(bad, 'die'), '');
    const reply = await adopt(good, bad);
    // Told of as live it would be taken for that until its loss is told, which has been told by then.
    expect(reply).not.toHaveProperty('shim');
    expect(reply.tasks.map(({ task, kind }) => [task, kind])).toEqual([
      ['good', 'gone'],
      ['bad', 'gone'],
    ]);
    await waitFor(() => !pids.some((pid) => isAlive(pid)), { doing: 'the tasks of the shim to be ended' });
  });
});
