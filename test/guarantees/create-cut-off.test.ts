import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { adminDefinition } from '../../src/shared/grpc/index.ts';
import { codeOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { haveRuntimes, slowCombinations } from '../helpers/runtimes.ts';
import {
  createContainer,
  createTask,
  deleteContainer,
  deleteTask,
  endTask,
  getTask,
  launch,
  Status,
  startTask,
} from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { StallingRunc } from './lib/stalling-runc.ts';

/** Files that a create makes in the bundle, in this order. */
const files = ['config.json', 'task.json', 'shim-binary-path', 'bootstrap.json', 'shim.json', 'processes.jsonl'];

describe.skipIf(!haveRuntimes).each(slowCombinations)('a create with $title', ({ generation, placement }) => {
  let daemon: Daemon;

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  /** The task works, or there is none; the id can be used; then nothing is left. */
  async function expectWhole(): Promise<void> {
    const found = await getTask(daemon, 'task').then(({ status }) => status, codeOf);
    expect([Status.CREATED, 'NOT_FOUND']).toContain(found);
    if (found === 'NOT_FOUND') await createTask(daemon, 'task');
    const pid = await startTask(daemon, 'task');
    expect(isAlive(pid)).toBe(true);
    await endTask(daemon, 'task');
    await endTask(daemon, 'neighbour');
    expect(await daemon.settled()).toEqual(nothingLeft);
  }

  const bundleFile = (name: string): string => path.join(daemon.state, daemon.namespace, 'task', name);

  /** Polls without a pause: the moments are short. */
  async function untilMade(name: string, over: Promise<unknown>): Promise<void> {
    const state = { over: false };
    over.finally(() => (state.over = true)).catch(() => undefined);
    const end = Date.now() + 10_000;
    while (!state.over && !existsSync(bundleFile(name)) && Date.now() < end) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Has runc stop at a moment of the task's create. */
  async function stallAt(moment: 'before' | 'after'): Promise<StallingRunc> {
    const runc = new StallingRunc();
    daemon = await Daemon.start({ generation, placement, programs: [runc.directory] });
    await launch(daemon, 'neighbour');
    await createContainer(daemon, 'task');
    runc.stall(moment, 'create', path.join(daemon.namespace, 'task'));
    return runc;
  }

  const own = placement === 'per-task' ? files : files.filter((name) => !/shim|bootstrap/.test(name));

  test.each(own)('that is cut off by kill -9 once %s is there leaves a task that works, or nothing', async (name) => {
    daemon = await Daemon.start({ generation, placement });
    await launch(daemon, 'neighbour');
    await createContainer(daemon, 'task');
    const creating = createTask(daemon, 'task').catch(() => undefined);
    await untilMade(name, creating);
    await daemon.kill();
    await creating;
    await daemon.start();
    await expectWhole();
  });

  test.each(['before', 'after'] as const)(
    'that is cut off by kill -9 %s runc has made the container leaves a task that works, or nothing',
    async (moment) => {
      const runc = await stallAt(moment);
      const creating = createTask(daemon, 'task').catch(() => undefined);
      await runc.reached(moment, 'create');
      await daemon.kill();
      await creating;
      runc.release(moment, 'create');
      await daemon.start();
      await expectWhole();
    },
  );

  test.each(['before', 'after'] as const)(
    'that its caller gives up %s runc has made the container leaves nothing, and its id works again',
    async (moment) => {
      const runc = await stallAt(moment);
      const creating = createTask(daemon, 'task', { budget: 1500 });
      await expect(creating).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
      runc.release(moment, 'create');
      // The id is free when it is undone.
      await waitFor(
        async () => {
          await expect(getTask(daemon, 'task')).rejects.toMatchObject({ code: 'NOT_FOUND' });
          await createTask(daemon, 'task');
          return true;
        },
        { budget: 20_000, every: 100, doing: 'the id to be free' },
      );
      expect(await deleteTask(daemon, 'task')).toBeGreaterThanOrEqual(0);
      await deleteContainer(daemon, 'task');
      await endTask(daemon, 'neighbour');
      expect(await daemon.settled()).toEqual(nothingLeft);
    },
  );

  test('that its caller gave up leaves nothing where the thread is lost before it is undone, and its id works again', async () => {
    const runc = new StallingRunc();
    daemon = await Daemon.start({ generation, placement, workers: 1, programs: [runc.directory] });
    await launch(daemon, 'neighbour');
    // The undoing tries again after pauses: the thread is lost before, in and between its tries.
    for (const moment of [0, 15, 30, 60, 120]) {
      const task = `task-${moment}`;
      await createContainer(daemon, task);
      runc.stall('after', 'create', path.join(daemon.namespace, task));
      await expect(createTask(daemon, task, { budget: 500 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
      await delay(moment);
      const restarted = daemon.client.call(adminDefinition.restartSlot, { id: 0 });
      runc.release('after', 'create');
      await restarted;
      await waitFor(async () => (await createTask(daemon, task).then(() => 'made', codeOf)) === 'made', {
        budget: 20_000,
        every: 100,
        doing: `the id ${task} to be free`,
      });
      expect(isAlive(await startTask(daemon, task))).toBe(true);
      await endTask(daemon, task);
    }
    await endTask(daemon, 'neighbour');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('of a program that is not there fails in create or start, can be deleted, and leaves nothing', async () => {
    daemon = await Daemon.start({ generation, placement });
    await createContainer(daemon, 'task', { args: ['/bin/nope'] });
    await expect(
      (async () => {
        await createTask(daemon, 'task');
        await startTask(daemon, 'task');
      })(),
    ).rejects.toMatchObject({ message: expect.stringContaining('/bin/nope') });
    const deleted = await deleteTask(daemon, 'task').then(() => 'deleted', codeOf);
    expect(['deleted', 'NOT_FOUND']).toContain(deleted);
    await expect(getTask(daemon, 'task')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await deleteContainer(daemon, 'task');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});
