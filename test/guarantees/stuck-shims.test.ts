import { afterEach, describe, expect, test } from 'vitest';
import { adminDefinition, tasksDefinition } from '../../src/shared/grpc/index.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { combinations, haveRuntimes } from '../helpers/runtimes.ts';
import {
  createContainer,
  createTask,
  deleteContainer,
  endTask,
  exitsIn,
  forEach,
  getTask,
  killTask,
  launch,
  listTasks,
  Status,
  startTask,
} from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { newestPerTask } from './lib/choices.ts';
import { listen } from './lib/subscription.ts';

const deadlines =
  '[deadlines]\nload = "3s"\nstate = "1s"\nmetrics = "1s"\ncall = "4s"\ncleanup = "4s"\nshutdown = "2s"\n';

async function shimOf(daemon: Daemon, task: string): Promise<number> {
  const { shims } = await daemon.client.call(adminDefinition.listShims, {});
  const own = shims.find(({ id }) => id === task) ?? shims.find(({ placement }) => placement === 'shared');
  const pid = own?.pid ?? 0;
  if (pid <= 0) throw new Error(`no shim is known for ${task}`);
  return pid;
}

/** Milliseconds that `work` takes. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

describe.skipIf(!haveRuntimes).each(newestPerTask)('one stopped shim among 100 with $title', ({ generation }) => {
  let daemon: Daemon;
  let stuck = 0;

  afterEach(async () => {
    if (stuck > 0 && isAlive(stuck)) process.kill(stuck, 'SIGCONT');
    await daemon?.[Symbol.asyncDispose]();
  });

  test('holds up neither start-up nor lists, nor is its task taken for dead', async () => {
    daemon = await Daemon.start({
      generation,
      placement: 'per-task',
      config: '[deadlines]\nload = "3s"\nstate = "1s"\n',
    });
    const ids = Array.from({ length: 100 }, (_, index) => `task-${index}`);
    const others = ids.slice(1);
    const pids = new Map<string, number>();
    await forEach(ids, 8, async (id) => {
      pids.set(id, await launch(daemon, id));
    });
    stuck = await shimOf(daemon, 'task-0');
    await daemon.kill();
    process.kill(stuck, 'SIGSTOP');

    const serving = await timed(() => daemon.start());
    console.log(`timing: serving ${Math.round(serving)} ms after the start, with 1 stopped shim of 100`);
    // Six seconds on a machine of its own; a load deadline for each shim in turn would be minutes.
    expect(serving).toBeLessThan(15_000);
    for (let round = 0; round < 3; round += 1) {
      const listing = await timed(async () => {
        const tasks = await listTasks(daemon);
        expect(tasks).toHaveLength(100);
        // Nothing is known of it since the restart.
        expect(tasks.find(({ id }) => id === 'task-0')).toMatchObject({ status: Status.UNKNOWN });
        expect(tasks.filter(({ status }) => status === Status.RUNNING)).toHaveLength(99);
      });
      expect(listing).toBeLessThan(2500);
    }
    const events = await listen(daemon);
    await forEach(others, 8, (id) => endTask(daemon, id));

    process.kill(stuck, 'SIGCONT');
    await waitFor(async () => (await getTask(daemon, 'task-0')).status === Status.RUNNING, {
      budget: 30_000,
      doing: 'the task to be known again',
    });
    expect(await getTask(daemon, 'task-0')).toMatchObject({ pid: pids.get('task-0') });
    expect(isAlive(pids.get('task-0') ?? 0)).toBe(true);
    await endTask(daemon, 'task-0');
    expect(exitsIn(events.messages)).toHaveLength(100);
    events.cancel();
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});

describe.skipIf(!haveRuntimes).each(combinations)('a stopped shim with $title', ({ generation, placement }) => {
  let daemon: Daemon;
  let stuck = 0;

  afterEach(async () => {
    if (stuck > 0 && isAlive(stuck)) process.kill(stuck, 'SIGCONT');
    await daemon?.[Symbol.asyncDispose]();
  });

  test('makes kill, delete, list and metrics late and not endless, and a forced delete ends and removes its task', async () => {
    daemon = await Daemon.start({ generation, placement, config: deadlines });
    const pid = await launch(daemon, 'stuck');
    stuck = await shimOf(daemon, 'stuck');
    process.kill(stuck, 'SIGSTOP');
    const events = await listen(daemon);

    expect(await timed(() => failureOf(killTask(daemon, 'stuck')))).toBeLessThan(7500);
    expect(
      await timed(async () => {
        const deleting = daemon.client.call(tasksDefinition.delete, { containerId: 'stuck' });
        expect(await failureOf(deleting)).toMatchObject({ code: expect.not.stringMatching(/NOT_FOUND/) });
      }),
    ).toBeLessThan(10_000);
    expect(
      await timed(async () => {
        // The last known state.
        expect(await listTasks(daemon)).toMatchObject([{ id: 'stuck', pid, status: Status.RUNNING }]);
      }),
    ).toBeLessThan(2500);
    expect(
      await timed(async () => {
        const { metrics } = await daemon.client.call(tasksDefinition.metrics, {});
        expect(metrics).toEqual([]);
      }),
    ).toBeLessThan(2500);
    expect(
      await timed(() => daemon.client.call(adminDefinition.deleteTask, { containerId: 'stuck', force: true })),
    ).toBeLessThan(20_000);

    expect(isAlive(pid)).toBe(false);
    // A shared one that does not answer its Shutdown is killed once it is empty.
    await waitFor(() => !isAlive(stuck), { budget: 15_000, doing: 'the shim to be gone' });
    expect(await failureOf(getTask(daemon, 'stuck'))).toMatchObject({ code: 'NOT_FOUND' });
    await waitFor(() => events.messages.some(({ topic }) => topic === '/tasks/delete'), { doing: 'the delete' });
    expect(exitsIn(events.messages)).toEqual([{ container: 'stuck', process: 'stuck', pid, status: 137 }]);
    events.cancel();
    await deleteContainer(daemon, 'stuck');
    // The id works again, once the daemon has noticed.
    await createContainer(daemon, 'stuck');
    await waitFor(async () => (await createTask(daemon, 'stuck').catch(() => 0)) > 0, { doing: 'the id to be free' });
    await startTask(daemon, 'stuck');
    await endTask(daemon, 'stuck');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});
