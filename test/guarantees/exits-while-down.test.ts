import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tasksDefinition } from '../../src/shared/grpc/index.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { combinations, haveRuntimes } from '../helpers/runtimes.ts';
import {
  addExec,
  createContainer,
  createTask,
  deleteContainer,
  deleteTask,
  endTask,
  exitsIn,
  getTask,
  launch,
  Status,
  startTask,
  subscribe,
  waitTask,
} from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { endingWith, trapping } from './lib/ending-task.ts';
import { listen } from './lib/subscription.ts';

describe.skipIf(!haveRuntimes).each(combinations)('with $title', ({ generation, placement }) => {
  let daemon: Daemon;

  beforeEach(async () => {
    daemon = await Daemon.start({ generation, placement });
  });

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  test('what ended while the daemon was down has its real status and time, and one exit event', async () => {
    const ended = await launch(daemon, 'ended', { args: endingWith(7) });
    const killed = await launch(daemon, 'killed');
    const host = await launch(daemon, 'host');
    await addExec(daemon, 'host', 'inner', endingWith(5));
    const inner = await startTask(daemon, 'host', 'inner');
    await trapping(ended, inner);
    const created = await launchCreated('created');
    const before = Date.now();
    await daemon.kill();
    process.kill(ended, 'SIGTERM');
    process.kill(inner, 'SIGTERM');
    process.kill(killed, 'SIGKILL');
    process.kill(created, 'SIGKILL');
    const gone = [ended, killed, inner, created];
    await waitFor(() => gone.every((pid) => !isAlive(pid)), { doing: 'the processes to end' });
    const after = Date.now();

    await daemon.start();
    const events = subscribe(daemon, `namespace==${daemon.namespace},topic~=^/tasks/`);
    const expected = [
      { id: 'ended', exec: '', pid: ended, status: 7 },
      { id: 'killed', exec: '', pid: killed, status: 137 },
      { id: 'host', exec: 'inner', pid: inner, status: 5 },
      { id: 'created', exec: '', pid: created, status: 137 },
    ];
    for (const { id, exec, pid, status } of expected) {
      const process = await getTask(daemon, id, exec);
      expect({ id, process }).toMatchObject({
        id,
        process: { pid, status: Status.STOPPED, exitStatus: status },
      });
      const at = (process.exitedAt?.seconds ?? 0) * 1000 + (process.exitedAt?.nanos ?? 0) / 1e6;
      expect(at).toBeGreaterThanOrEqual(before - 5);
      expect(at).toBeLessThanOrEqual(after + 5);
      expect(await waitTask(daemon, id, exec)).toEqual({ status });
    }
    expect(await getTask(daemon, 'host')).toMatchObject({ pid: host, status: Status.RUNNING });

    // What a client asked for meanwhile has brought no second event.
    expect(await deleteTask(daemon, 'ended')).toBe(7);
    expect(await deleteTask(daemon, 'killed')).toBe(137);
    expect(await deleteTask(daemon, 'created')).toBe(137);
    await daemon.client.call(tasksDefinition.deleteProcess, { containerId: 'host', execId: 'inner' });
    for (const id of ['ended', 'killed', 'created']) await deleteContainer(daemon, id);
    await endTask(daemon, 'host');
    await waitFor(() => events.messages.filter(({ topic }) => topic === '/tasks/delete').length >= 4, {
      doing: 'the deletes to be published',
    });
    const exits = exitsIn(events.messages).toSorted((one, other) => one.pid - other.pid);
    const wanted = [
      ...expected.map(({ id, exec, pid, status }) => ({ container: id, process: exec || id, pid, status })),
      { container: 'host', process: 'host', pid: host, status: 137 },
    ];
    expect(exits).toEqual(wanted.toSorted((one, other) => one.pid - other.pid));
    events.cancel();
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('an exit that was told is not told again after the next restart, and its status stays', async () => {
    const pid = await launch(daemon, 'ended', { args: endingWith(9) });
    await trapping(pid);
    const first = await listen(daemon);
    process.kill(pid, 'SIGTERM');
    await waitFor(() => exitsIn(first.messages).length === 1, { doing: 'the exit to be published' });
    await daemon.kill();
    await daemon.start();
    const second = await listen(daemon);
    expect(await getTask(daemon, 'ended')).toMatchObject({ pid, status: Status.STOPPED, exitStatus: 9 });
    expect(await deleteTask(daemon, 'ended')).toBe(9);
    await deleteContainer(daemon, 'ended');
    // The delete is behind everything that could still be told of the task.
    await waitFor(() => second.messages.some(({ topic }) => topic === '/tasks/delete'), { doing: 'the delete' });
    expect(exitsIn(second.messages)).toEqual([]);
    second.cancel();
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  async function launchCreated(id: string): Promise<number> {
    await createContainer(daemon, id);
    return createTask(daemon, id);
  }
});
