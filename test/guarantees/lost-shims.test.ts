import { existsSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { adminDefinition } from '../../src/shared/grpc/index.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { haveRuntimes, slowCombinations } from '../helpers/runtimes.ts';
import {
  addExec,
  deleteContainer,
  deleteTask,
  exitsIn,
  forEach,
  getTask,
  launch,
  Status,
  startTask,
  waitTask,
} from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { endingWith, trapping } from './lib/ending-task.ts';
import { forwardExit } from './lib/forward-exit.ts';
import { listen } from './lib/subscription.ts';

const ids = Array.from({ length: 8 }, (_, index) => `task-${index}`);

describe.skipIf(!haveRuntimes).each(slowCombinations)('a shim killed with $title', ({ generation, placement }) => {
  let daemon: Daemon;

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  test.each(['while the daemon runs', 'while the daemon is down'])(
    '%s ends each of its tasks with one exit, keeps a status that was known, and leaves no process',
    async (moment) => {
      const down = moment === 'while the daemon is down';
      daemon = await Daemon.start({ generation, placement });
      const pids = new Map<string, number>();
      await forEach(ids, 4, async (id) => {
        pids.set(id, await launch(daemon, id, { args: endingWith(5) }));
      });
      await addExec(daemon, 'task-1', 'inner', ['sleep', '3600']);
      const inner = await startTask(daemon, 'task-1', 'inner');
      await trapping(...pids.values());
      const events = await listen(daemon);
      process.kill(pids.get('task-0') ?? 0, 'SIGTERM');
      expect(await waitTask(daemon, 'task-0')).toEqual({ status: 5 });

      const sockets = daemon.noteSockets();
      const { shims } = await daemon.client.call(adminDefinition.listShims, {});
      expect(shims).toHaveLength(placement === 'shared' ? 1 : ids.length);
      await waitFor(() => exitsIn(events.messages).length === 1, { doing: 'the known exit to be published' });
      const before = down ? exitsIn(events.messages) : [];
      if (down) await daemon.kill();
      for (const { pid } of shims) process.kill(pid ?? 0, 'SIGKILL');
      await waitFor(() => shims.every(({ pid }) => !isAlive(pid ?? 0)), { doing: 'the shims to be gone' });
      if (down) await daemon.start();
      const later = down ? await listen(daemon) : events;

      await forEach(ids, 4, async (id) => {
        const status = id === 'task-0' ? 5 : 137;
        expect(await waitTask(daemon, id)).toEqual({ status });
        expect(await getTask(daemon, id)).toMatchObject({
          pid: pids.get(id),
          status: Status.STOPPED,
          exitStatus: status,
        });
      });
      expect([...pids.values(), inner].filter(isAlive)).toEqual([]);
      await forEach(ids, 4, async (id) => {
        expect(await deleteTask(daemon, id)).toBe(id === 'task-0' ? 5 : 137);
        await deleteContainer(daemon, id);
      });
      await waitFor(() => later.messages.filter(({ topic }) => topic === '/tasks/delete').length >= ids.length, {
        doing: 'the deletes to be published',
      });
      // Sent before the delete of the task, each once over both lives of the daemon.
      const seen = [...before, ...exitsIn(later.messages)];
      const exits = seen.map(({ container, process: name, status }) => `${container} ${name} ${status}`);
      const wanted = ids.map((id) => `${id} ${id} ${id === 'task-0' ? 5 : 137}`);
      expect(exits.toSorted()).toEqual([...wanted, 'task-1 inner 137'].toSorted());
      later.cancel();
      expect(await daemon.settled()).toEqual(nothingLeft);
      expect(sockets.filter((socket) => existsSync(socket))).toEqual([]);
    },
  );

  test('that has told how its task ended, to a daemon that is just starting, has not told it in vain', async () => {
    daemon = await Daemon.start({ generation, placement });
    const pid = await launch(daemon, 'task');
    const { shims } = await daemon.client.call(adminDefinition.listShims, {});
    await daemon.kill();
    // Its shim sees the end, and has just sent the event when it is killed.
    for (const { pid: shim } of shims) process.kill(shim ?? 0, 'SIGKILL');
    await waitFor(() => shims.every(({ pid: shim }) => !isAlive(shim ?? 0)), { doing: 'the shim to be gone' });
    process.kill(pid, 'SIGKILL');
    const starting = daemon.start();
    const exit = { containerId: 'task', id: 'task', pid, exitStatus: 5 };
    // The events endpoint is up long before the tasks are adopted.
    await waitFor(() => forwardExit(daemon, exit).then(() => true), { every: 2, doing: 'the endpoint to listen' });
    await starting;
    const events = await listen(daemon);
    expect(await getTask(daemon, 'task')).toMatchObject({ pid, status: Status.STOPPED, exitStatus: 5 });
    expect(await waitTask(daemon, 'task')).toEqual({ status: 5 });
    expect(await deleteTask(daemon, 'task')).toBe(5);
    expect(exitsIn(events.messages)).toEqual([{ container: 'task', process: 'task', pid, status: 5 }]);
    events.cancel();
    await deleteContainer(daemon, 'task');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});
