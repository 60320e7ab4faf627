import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  sandboxControllerDefinition as controller,
  sandboxStoreDefinition as store,
  tasksDefinition,
} from '../../../src/shared/grpc/index.ts';
import { failureOf } from '../../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../../helpers/daemon.ts';
import { fixtureShims } from '../../helpers/fixture-shims.ts';
import { isAlive } from '../../helpers/leftovers.ts';
import {
  createMember,
  createSandbox,
  launchIn,
  launchSandbox,
  removeSandbox,
  sandboxStatus,
  startSandbox,
  stopSandbox,
  storyOf,
  waitSandbox,
} from '../../helpers/sandboxes.ts';
import {
  createTask,
  deleteContainer,
  deleteTask,
  endTask,
  getTask,
  launch,
  Status,
  startTask,
  subscribe,
  waitTask,
} from '../../helpers/tasks.ts';
import { waitFor } from '../../helpers/wait-for.ts';
import { runtime, shimsOf, startDaemon, topics } from './fixture.ts';

describe('a sandbox', () => {
  let daemon: Daemon;

  beforeEach(async () => {
    daemon = await startDaemon();
  });

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  test('lives from create to shutdown, with its events in order, and nothing is left of it', async () => {
    const events = subscribe(daemon, topics);
    await createSandbox(daemon, 'pod', { runtime });
    expect(await sandboxStatus(daemon, 'pod')).toMatchObject({ sandboxId: 'pod', pid: 0, state: 'SANDBOX_NOTREADY' });
    const started = await startSandbox(daemon, 'pod');
    expect(started).toMatchObject({ sandboxId: 'pod', version: 3 });
    expect(started.address).toMatch(/^ttrpc\+unix:\/\/\//);
    expect(isAlive(started.pid)).toBe(true);
    const status = await sandboxStatus(daemon, 'pod', true);
    expect(status).toMatchObject({ pid: started.pid, state: 'SANDBOX_READY', info: { fixture: 'yes' } });
    expect(await daemon.client.call(controller.platform, { sandboxId: 'pod' })).toMatchObject({
      platform: { os: 'linux', architecture: 'fixture' },
    });
    const { metrics } = await daemon.client.call(controller.metrics, { sandboxId: 'pod' });
    expect(metrics).toMatchObject({ id: 'pod' });
    await daemon.client.call(controller.update, { sandboxId: 'pod', sandbox: { sandboxId: 'pod' } });

    const waiting = waitSandbox(daemon, 'pod');
    await stopSandbox(daemon, 'pod');
    expect(await waiting).toBe(143);
    // It can be asked again, and waited for again.
    await stopSandbox(daemon, 'pod');
    expect(await waitSandbox(daemon, 'pod')).toBe(143);
    expect(await sandboxStatus(daemon, 'pod')).toMatchObject({ state: 'SANDBOX_NOTREADY' });
    await removeSandbox(daemon, 'pod');
    expect((await failureOf(waitSandbox(daemon, 'pod'))).code).toBe('NOT_FOUND');
    await waitFor(() => storyOf(events.messages).length >= 3);
    expect(storyOf(events.messages)).toEqual(['create pod', 'start pod', 'exit pod 143']);
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('has its tasks in its own shim, and outlives them', async () => {
    await launchSandbox(daemon, 'pod', { runtime });
    // A task may have the sandbox's own id.
    for (const id of ['pod', 'other']) await launchIn(daemon, 'pod', id, { runtime });
    expect(await shimsOf(daemon)).toEqual([{ id: 'pod', placement: 'sandbox', tasks: 2 }]);
    for (const id of ['pod', 'other']) await endTask(daemon, id);
    expect(await shimsOf(daemon)).toEqual([{ id: 'pod', placement: 'sandbox', tasks: 0 }]);
    expect(await sandboxStatus(daemon, 'pod')).toMatchObject({ state: 'SANDBOX_READY' });
    await removeSandbox(daemon, 'pod');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test.each([
    ['stop', (on: Daemon) => stopSandbox(on, 'pod'), 143],
    ['its own end', async (_: Daemon, pid: number) => void process.kill(pid, 'SIGKILL'), 137],
  ])('takes its tasks with it by %s: their exits first, once each, then its own', async (_, end, status) => {
    const events = subscribe(daemon, topics);
    const { pid } = await launchSandbox(daemon, 'pod', { runtime });
    for (const id of ['one', 'two']) await launchIn(daemon, 'pod', id, { runtime });
    await launch(daemon, 'apart', { runtime });
    const waiting = waitSandbox(daemon, 'pod');
    await end(daemon, pid);
    expect(await waiting).toBe(status);
    for (const id of ['one', 'two']) expect(await getTask(daemon, id)).toMatchObject({ status: Status.STOPPED });
    expect(await getTask(daemon, 'apart')).toMatchObject({ status: Status.RUNNING });
    await createMember(daemon, 'pod', 'late', { runtime });
    expect(await failureOf(createTask(daemon, 'late'))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('takes no more tasks'),
    });
    await removeSandbox(daemon, 'pod');
    // What is left of them is their exits.
    for (const id of ['one', 'two']) {
      expect(await waitTask(daemon, id)).toEqual({ status: 137 });
      expect(await deleteTask(daemon, id)).toBe(137);
      await deleteContainer(daemon, id);
    }
    const story = storyOf(events.messages);
    expect(story.toSorted()).toEqual(
      ['create pod', 'start pod', 'exit task one 137', 'exit task two 137', `exit pod ${status}`].toSorted(),
    );
    expect(story.at(-1)).toBe(`exit pod ${status}`);
    await endTask(daemon, 'apart');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('gives its tasks the grace of a stop to end by themselves', async () => {
    await launchSandbox(daemon, 'pod', { runtime });
    await launchIn(daemon, 'pod', 'one', { runtime });
    await stopSandbox(daemon, 'pod', 10);
    expect(await waitTask(daemon, 'one')).toEqual({ status: 143 });
    await deleteTask(daemon, 'one');
    await deleteContainer(daemon, 'one');
    await removeSandbox(daemon, 'pod');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('whose tasks nobody deleted can be shut down, and they can be deleted after', async () => {
    await launchSandbox(daemon, 'pod', { runtime });
    await launchIn(daemon, 'pod', 'one', { runtime });
    await createMember(daemon, 'pod', 'unstarted', { runtime });
    await createTask(daemon, 'unstarted');
    await removeSandbox(daemon, 'pod');
    expect(await shimsOf(daemon)).toEqual([]);
    for (const id of ['one', 'unstarted']) {
      expect(await deleteTask(daemon, id)).toBe(137);
      await deleteContainer(daemon, id);
    }
    // The id works again.
    await launchSandbox(daemon, 'pod', { runtime });
    await removeSandbox(daemon, 'pod');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('of another daemon can be joined by its address, and is not ended by who joined it', async () => {
    await using other = await Daemon.start({ programs: [fixtureShims] });
    const { address } = await launchSandbox(other, 'pod', { runtime });
    await daemon.client.call(store.create, { sandbox: { sandboxId: 'pod', runtime: { name: runtime } } });
    await createMember(daemon, 'pod', 'one', { runtime });
    const create = (taskApiAddress: string) =>
      daemon.client.call(tasksDefinition.create, { containerId: 'one', taskApiAddress, taskApiVersion: 3 });
    expect((await failureOf(create('unix:///x'))).code).toBe('INVALID_ARGUMENT');
    expect((await failureOf(create('grpc+vsock://3:1024'))).code).toBe('UNIMPLEMENTED');
    expect((await failureOf(create('ttrpc+unix:///nobody/here.sock'))).code).toBe('FAILED_PRECONDITION');
    expect((await failureOf(createTask(daemon, 'one'))).code).toBe('NOT_FOUND');
    const { pid } = await create(address);
    await startTask(daemon, 'one');
    expect(await shimsOf(daemon)).toEqual([{ id: 'one', placement: 'joined', tasks: 1 }]);
    await daemon.kill();
    await daemon.start();
    expect(await getTask(daemon, 'one')).toMatchObject({ pid, status: Status.RUNNING });
    await endTask(daemon, 'one');
    expect(await sandboxStatus(other, 'pod')).toMatchObject({ state: 'SANDBOX_READY' });
    await daemon.client.call(store.delete, { sandboxId: 'pod' });
    expect(await daemon.settled()).toEqual(nothingLeft);
    await removeSandbox(other, 'pod');
    expect(await other.settled()).toEqual(nothingLeft);
  });
});
