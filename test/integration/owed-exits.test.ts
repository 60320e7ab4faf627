import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tasksDefinition } from '../../src/shared/grpc/index.ts';
import { Daemon } from '../helpers/daemon.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { embeddedRuntime } from '../helpers/task-runtimes.ts';
import { createTask, deleteContainer, deleteTask, exitsIn, startTask, subscribe, waitTask } from '../helpers/tasks.ts';
import { uniqueName } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';

describe('an exit that the client of its namespace was away for', () => {
  let daemon: Daemon;
  let id: string;
  let pid: number;

  beforeEach(async () => {
    daemon = await Daemon.start(embeddedRuntime.daemon);
    id = uniqueName('t');
    await embeddedRuntime.createContainer(daemon, id, ['sleep', '3600']);
    pid = await createTask(daemon, id);
    await startTask(daemon, id);
  });

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  const end = async (): Promise<void> => {
    process.kill(pid, 'SIGKILL');
    await waitFor(() => !isAlive(pid));
  };
  const client = () => subscribe(daemon, `namespace==${daemon.namespace},topic~=|^/tasks/|`);

  test('is told to it after any number of restarts, once', async () => {
    await daemon.kill();
    await end();
    for (let restarts = 0; restarts < 2; restarts += 1) {
      await daemon.start();
      await daemon.kill();
    }
    await daemon.start();
    const stream = client();
    await waitFor(() => stream.messages.length > 0, { doing: 'the exit to be told' });
    expect(exitsIn(stream.messages)).toEqual([{ container: id, process: id, pid, status: 137 }]);
    stream.cancel();

    // Told is told, also for the daemon after this one.
    await daemon.kill();
    await daemon.start();
    const later = client();
    expect(await waitTask(daemon, id)).toEqual({ status: 137 });
    await deleteTask(daemon, id);
    await deleteContainer(daemon, id);
    await waitFor(() => later.messages.some(({ topic }) => topic === '/tasks/delete'));
    expect(exitsIn(later.messages)).toEqual([]);
    later.cancel();
  });

  test('is told to it where the process ended after the restart, before it was back', async () => {
    await daemon.kill();
    await daemon.start();
    await end();
    expect(await waitTask(daemon, id)).toEqual({ status: 137 });
    const stream = client();
    await waitFor(() => stream.messages.length > 0, { doing: 'the exit to be told' });
    expect(exitsIn(stream.messages)).toEqual([{ container: id, process: id, pid, status: 137 }]);
    stream.cancel();
  });

  test('is told to it after any number of restarts also of an exec that was lost with the shim', async () => {
    const spec = embeddedRuntime.processOf(['sleep', '3600']);
    await daemon.client.call(tasksDefinition.exec, { containerId: id, execId: 'x', spec });
    const exec = await startTask(daemon, id, 'x');
    const shims: unknown = JSON.parse((await daemon.shimd(['shims', '--json'])).stdout);
    const [{ pid: shim }] = shims as [{ pid: number }];
    await daemon.kill();
    process.kill(shim, 'SIGKILL');
    await waitFor(() => !isAlive(shim));
    for (let restarts = 0; restarts < 2; restarts += 1) {
      await daemon.start();
      expect(await waitTask(daemon, id, 'x')).toEqual({ status: 137 });
      await daemon.kill();
    }
    await daemon.start();
    const stream = client();
    await waitFor(() => stream.messages.length > 1, { doing: 'both exits to be told' });
    expect(exitsIn(stream.messages)).toEqual(
      expect.arrayContaining([
        { container: id, process: 'x', pid: exec, status: 137 },
        { container: id, process: id, pid, status: 137 },
      ]),
    );
    stream.cancel();
  });
});
