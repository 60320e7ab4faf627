import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { adminDefinition, tasksDefinition } from '../../src/shared/grpc/index.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { combinations, haveRuntimes, lastInShort } from '../helpers/runtimes.ts';
import {
  addExec,
  createContainer,
  createTask,
  deleteContainer,
  deleteTask,
  endTask,
  exitsIn,
  getTask,
  killTask,
  launch,
  Status,
  startTask,
  waitTask,
} from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { StallingRunc } from './lib/stalling-runc.ts';
import { listen } from './lib/subscription.ts';

/** How long a call may take before what it hangs on is ended, in milliseconds. */
const budget = 3000;
/** How long a neighbour may be held up: the budget, and what a busy machine adds. */
const patience = budget * 4;
const config = `[shim]\nheartbeat = "1s"\n[deadlines]\ncall = "${budget}ms"\nstate = "1s"\ncleanup = "4s"\n`;

const shared = lastInShort(combinations.filter(({ placement }) => placement === 'shared'));

describe.skipIf(!haveRuntimes).each(shared)('a runc that hangs in a shared shim with $title', ({ generation }) => {
  let daemon: Daemon;
  let runc: StallingRunc;
  let neighbour = 0;

  beforeEach(async () => {
    runc = new StallingRunc();
    daemon = await Daemon.start({ generation, placement: 'shared', programs: [runc.directory], config });
    neighbour = await launch(daemon, 'neighbour');
  });

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  /** The neighbour has not noticed; after it has ended nothing is left, and one shim was enough. */
  async function neighbourIsWell(): Promise<void> {
    expect(await getTask(daemon, 'neighbour')).toMatchObject({ pid: neighbour, status: Status.RUNNING });
    await addExec(daemon, 'neighbour', 'probe', ['true']);
    await startTask(daemon, 'neighbour', 'probe');
    expect(await waitTask(daemon, 'neighbour', 'probe')).toEqual({ status: 0 });
    await daemon.client.call(tasksDefinition.deleteProcess, { containerId: 'neighbour', execId: 'probe' });
    const { shims } = await daemon.client.call(adminDefinition.listShims, {});
    expect(shims).toHaveLength(1);
    await endTask(daemon, 'neighbour');
    expect(await daemon.settled()).toEqual(nothingLeft);
  }

  const killed = (command: string) =>
    waitFor(
      () => daemon.log.some((line) => line['message'] === 'stuck runtime killed' && line['command'] === command),
      {
        doing: `the runc ${command} that hangs to be killed`,
        budget: patience,
      },
    );

  test.each(['before', 'after'] as const)('%s it creates is ended, and the create undone', async (moment) => {
    runc.stall(moment, 'create', 'stuck');
    await createContainer(daemon, 'stuck');
    expect(await failureOf(createTask(daemon, 'stuck'))).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await killed('create');
    runc.release(moment, 'create');
    // The id is free when the create is undone.
    await waitFor(() => createTask(daemon, 'stuck').catch(() => undefined), { doing: 'the id to be free' });
    await startTask(daemon, 'stuck');
    await endTask(daemon, 'stuck');
    await neighbourIsWell();
  });

  test.each(['before', 'after'] as const)(
    '%s it starts is ended, and the task is what it has become',
    async (moment) => {
      await createContainer(daemon, 'stuck');
      const pid = await createTask(daemon, 'stuck');
      runc.stall(moment, 'start', 'stuck');
      const start = startTask(daemon, 'stuck').catch(() => undefined);
      await killed('start');
      runc.release(moment, 'start');
      await start;
      const status = moment === 'after' ? Status.RUNNING : Status.CREATED;
      await waitFor(async () => (await getTask(daemon, 'stuck')).status === status, { doing: 'the state of the task' });
      expect(await getTask(daemon, 'stuck')).toMatchObject({ pid });
      if (moment === 'after') {
        await endTask(daemon, 'stuck');
      } else {
        await deleteTask(daemon, 'stuck');
        await deleteContainer(daemon, 'stuck');
      }
      await neighbourIsWell();
    },
  );

  test('before it runs an exec is ended, and the exec can be deleted', async () => {
    await launch(daemon, 'stuck');
    await addExec(daemon, 'stuck', 'inner', ['sleep', '3600']);
    runc.stall('before', 'exec', 'stuck');
    const start = startTask(daemon, 'stuck', 'inner').catch(() => undefined);
    await killed('exec');
    runc.release('before', 'exec');
    await start;
    const request = { containerId: 'stuck', execId: 'inner' };
    const deleted = await waitFor(
      () => daemon.client.call(tasksDefinition.deleteProcess, request).catch(() => undefined),
      { doing: 'the exec to be deleted' },
    );
    expect(deleted).toMatchObject({ pid: 0 });
    await endTask(daemon, 'stuck');
    await neighbourIsWell();
  });

  test('in a kill is ended, and no other exit waits for longer', async () => {
    const pid = await launch(daemon, 'stuck');
    const events = await listen(daemon);
    runc.stall('before', 'kill', 'stuck');
    const kill = killTask(daemon, 'stuck').catch(() => undefined);
    await runc.reached('before', 'kill');
    // The shim's one exit loop now waits for the lock that the kill holds.
    process.kill(pid, 'SIGKILL');
    await launch(daemon, 'other');
    const other = (await getTask(daemon, 'other')).pid ?? 0;
    const began = performance.now();
    process.kill(other, 'SIGKILL');
    await waitFor(() => exitsIn(events.messages).length === 2, { doing: 'both exits', budget: patience });
    expect(performance.now() - began).toBeLessThan(patience);
    await kill;
    runc.release('before', 'kill');
    for (const id of ['stuck', 'other']) {
      expect(await waitTask(daemon, id)).toEqual({ status: 137 });
      await waitFor(() => deleteTask(daemon, id).catch(() => undefined), { doing: `${id} to be deleted` });
      await deleteContainer(daemon, id);
    }
    expect(exitsIn(events.messages)).toHaveLength(2);
    events.cancel();
    await neighbourIsWell();
  });

  test('in a pause is ended, and its task can be killed', async () => {
    await launch(daemon, 'stuck');
    runc.stall('before', 'pause', 'stuck');
    const pause = daemon.client.call(tasksDefinition.pause, { containerId: 'stuck' });
    expect(await failureOf(pause)).toMatchObject({ message: expect.any(String) });
    await killed('pause');
    runc.release('before', 'pause');
    await waitFor(async () => (await getTask(daemon, 'stuck')).status === Status.RUNNING);
    await endTask(daemon, 'stuck');
    await neighbourIsWell();
  });

  test.each(['before', 'after'] as const)(
    '%s it pauses, and resumes, but goes on when its caller has given up, is known by what became of the task',
    async (moment) => {
      await launch(daemon, 'stuck');
      const events = await listen(daemon);
      const untilStatus = (name: 'PAUSED' | 'RUNNING') =>
        waitFor(async () => (await getTask(daemon, 'stuck')).status === Status[name], { doing: `status ${name}` });
      for (const [command, status] of [
        ['pause', 'PAUSED'],
        ['resume', 'RUNNING'],
      ] as const) {
        runc.stall(moment, command, 'stuck');
        const call = daemon.client.call(tasksDefinition[command], { containerId: 'stuck' }, { budget: 700 });
        expect(await failureOf(call)).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
        runc.release(moment, command);
        await untilStatus(status);
      }
      await waitFor(() => events.messages.some(({ topic }) => topic === '/tasks/resumed'));
      expect(events.messages.map(({ topic }) => topic).filter((topic) => /paused|resumed/.test(topic))).toEqual([
        '/tasks/paused',
        '/tasks/resumed',
      ]);
      events.cancel();
      await endTask(daemon, 'stuck');
      await neighbourIsWell();
    },
  );

  test.each(['before', 'after'] as const)('%s it deletes is ended, and delete can be repeated', async (moment) => {
    const pid = await launch(daemon, 'stuck');
    await killTask(daemon, 'stuck');
    await waitTask(daemon, 'stuck');
    runc.stall(moment, 'delete', 'stuck');
    const first = deleteTask(daemon, 'stuck').catch(() => undefined);
    await killed('delete');
    runc.release(moment, 'delete');
    const status = (await first) ?? (await waitFor(() => deleteTask(daemon, 'stuck').catch(() => undefined)));
    expect(status).toBe(137);
    expect(isAlive(pid)).toBe(false);
    await deleteContainer(daemon, 'stuck');
    await neighbourIsWell();
  });
});
