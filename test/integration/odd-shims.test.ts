import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { adminDefinition, tasksDefinition } from '../../src/shared/grpc/index.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { fixtureRuntime, fixtureShims } from '../helpers/fixture-shims.ts';
import {
  createContainer,
  createTask,
  deleteContainer,
  endTask,
  exitsIn,
  getTask,
  killTask,
  launch,
  listTasks,
  Status,
  subscribe,
  waitTask,
} from '../helpers/tasks.ts';
import { uniqueName } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';

describe('a shim that', () => {
  let daemon: Daemon;

  beforeAll(async () => {
    daemon = await Daemon.start({
      programs: [fixtureShims],
      config: '[deadlines]\nstate = "1s"\nshutdown = "1s"\n',
    });
  });

  afterAll(() => daemon?.[Symbol.asyncDispose]());

  test.each([
    ['behaves', 'plain'],
    ['keeps the stdout of its start action open', 'lingering-stdout'],
    ['claims version 3 and knows version 2', 'v2-only'],
    ['sends frames that nobody asked for', 'noisy'],
    ['refuses the first Shutdown', 'stubborn-shutdown'],
    ['ignores Shutdown', 'deaf-shutdown'],
    ['publishes exits of processes that never were', 'event-flood'],
    ['speaks gRPC alone', 'grpc-only'],
    ['forks and leaves', 'forking'],
  ])('%s runs a task to its end, with one exit, and nothing is left', async (_, name) => {
    const id = uniqueName('c');
    const events = subscribe(daemon, 'topic=="/tasks/exit"');
    const pid = await launch(daemon, id, { runtime: fixtureRuntime(name) });
    expect(await getTask(daemon, id)).toMatchObject({ id, pid, status: Status.RUNNING });
    const ended = waitTask(daemon, id);
    await killTask(daemon, id);
    expect(await ended).toEqual({ status: 137 });
    expect(await daemon.client.call(tasksDefinition.delete, { containerId: id })).toMatchObject({
      pid,
      exitStatus: 137,
    });
    await deleteContainer(daemon, id);
    expect(await daemon.settled()).toEqual(nothingLeft);
    await waitFor(() => exitsIn(events.messages).some(({ container }) => container === id));
    const own = exitsIn(events.messages).filter(({ container }) => container.startsWith(id));
    events.cancel();
    expect(own).toEqual([{ container: id, process: id, pid, status: 137 }]);
  });

  test('answers more than a message may have fails that call alone', async () => {
    const id = uniqueName('c');
    await launch(daemon, id, { runtime: fixtureRuntime('oversized') });
    const failure = await failureOf(daemon.client.call(tasksDefinition.listPids, { containerId: id }));
    expect(failure).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    await endTask(daemon, id);
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('hangs after Create delays only its own calls, and a forced delete gets rid of it', async () => {
    const [stuck, sound] = [uniqueName('c'), uniqueName('c')];
    await createContainer(daemon, stuck, { runtime: fixtureRuntime('hanging-after-create') });
    await createTask(daemon, stuck);
    const start = daemon.client.call(tasksDefinition.start, { containerId: stuck }, { budget: 1500 });
    expect(await failureOf(start)).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await launch(daemon, sound, { runtime: fixtureRuntime('plain') });
    const began = Date.now();
    expect((await listTasks(daemon)).map(({ id }) => id)).toEqual(expect.arrayContaining([stuck, sound]));
    expect(Date.now() - began).toBeLessThan(4000);
    await endTask(daemon, sound);
    await daemon.client.call(adminDefinition.deleteTask, { containerId: stuck, force: true });
    await deleteContainer(daemon, stuck);
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('dies under a running task leaves one exit and no process', async () => {
    const id = uniqueName('c');
    const events = subscribe(daemon, 'topic=="/tasks/exit"');
    const pid = await launch(daemon, id, { runtime: fixtureRuntime('dying-after-start') });
    await waitFor(() => exitsIn(events.messages).length > 0, { doing: 'the exit of a task whose shim died' });
    await deleteContainer(daemon, id).catch(() => undefined);
    await daemon.client.call(tasksDefinition.delete, { containerId: id }).catch(() => undefined);
    await deleteContainer(daemon, id).catch(() => undefined);
    expect(await daemon.settled()).toEqual(nothingLeft);
    expect(exitsIn(events.messages)).toEqual([{ container: id, process: id, pid, status: 137 }]);
    events.cancel();
  });
});
