import { existsSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { adminDefinition, sandboxControllerDefinition as controller } from '../../../src/shared/grpc/index.ts';
import { failureOf } from '../../helpers/api-client.ts';
import { type Daemon, nothingLeft } from '../../helpers/daemon.ts';
import { isAlive } from '../../helpers/leftovers.ts';
import {
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
import { deleteContainer, deleteTask, listTasks, subscribe, waitTask } from '../../helpers/tasks.ts';
import { waitFor } from '../../helpers/wait-for.ts';
import { runtime, shimsOf, startDaemon, topics } from './fixture.ts';

describe('a sandbox that was killed with the daemon', () => {
  let daemon: Daemon;

  beforeEach(async () => {
    daemon = await startDaemon();
  });

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  test('is adopted with its tasks, and each exit comes once', async () => {
    const { pid } = await launchSandbox(daemon, 'pod', { runtime });
    for (const id of ['one', 'two']) await launchIn(daemon, 'pod', id, { runtime });
    await daemon.kill();
    await daemon.start();
    const events = subscribe(daemon, topics);
    expect(await sandboxStatus(daemon, 'pod')).toMatchObject({ pid, state: 'SANDBOX_READY' });
    expect(await shimsOf(daemon)).toEqual([{ id: 'pod', placement: 'sandbox', tasks: 2 }]);
    process.kill(pid, 'SIGKILL');
    expect(await waitSandbox(daemon, 'pod')).toBe(137);
    await removeSandbox(daemon, 'pod');
    const story = storyOf(events.messages);
    expect(story.toSorted()).toEqual(['exit pod 137', 'exit task one 137', 'exit task two 137']);
    expect(story.at(-1)).toBe('exit pod 137');
    for (const id of ['one', 'two']) {
      await deleteTask(daemon, id);
      await deleteContainer(daemon, id);
    }
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('or lost its thread can be started while it is adopted, and its start and exit are told', async () => {
    await createSandbox(daemon, 'pod', { runtime, annotations: { slow: 'StartSandbox' } });
    const events = subscribe(daemon, topics);
    for (const id of [0, 1]) await daemon.client.call(adminDefinition.restartSlot, { id });
    // It waits for the adoption, and overtakes what that finds.
    const { pid } = await startSandbox(daemon, 'pod');
    process.kill(pid, 'SIGKILL');
    expect(await waitSandbox(daemon, 'pod')).toBe(137);
    await waitFor(() => storyOf(events.messages).includes('exit pod 137'), { doing: 'the exit to be told' });
    expect(storyOf(events.messages)).toEqual(['start pod', 'exit pod 137']);
    await removeSandbox(daemon, 'pod');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test.each([
    ['ended', (pid: number) => process.kill(pid, 'SIGKILL')],
    ['was lost with its shim', () => undefined],
  ])('and %s meanwhile is told once, when somebody listens', async (what, end) => {
    const { pid } = await launchSandbox(daemon, 'pod', { runtime });
    await launchIn(daemon, 'pod', 'one', { runtime });
    const { shims: found } = await daemon.client.call(adminDefinition.listShims, {});
    await daemon.kill();
    end(pid);
    if (what !== 'ended') process.kill(found[0]?.pid ?? 0, 'SIGKILL');
    await waitFor(() => !isAlive(pid), { doing: 'the sandbox to end' });
    await daemon.start();
    expect(await waitSandbox(daemon, 'pod')).toBe(137);
    const events = subscribe(daemon, topics);
    await waitFor(() => storyOf(events.messages).some((line) => line.startsWith('exit pod')));
    expect(storyOf(events.messages).filter((line) => line.startsWith('exit pod'))).toEqual(['exit pod 137']);
    expect(await waitTask(daemon, 'one')).toEqual({ status: 137 });
    await daemon.kill();
    await daemon.start();
    const later = subscribe(daemon, topics);
    expect(await waitSandbox(daemon, 'pod')).toBe(137);
    await deleteTask(daemon, 'one');
    await deleteContainer(daemon, 'one');
    await removeSandbox(daemon, 'pod');
    expect(storyOf(later.messages)).toEqual([]);
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  const shutDown = async () => {
    await daemon.client.call(controller.shutdown, { sandboxId: 'pod' });
  };

  /** Brings a sandbox to where its shim hangs in `method`. */
  async function hangIn(method: string): Promise<void> {
    const options = { runtime, annotations: { hang: method } };
    const creating = createSandbox(daemon, 'pod', options);
    creating.catch(() => undefined);
    if (method !== 'CreateSandbox') {
      await creating;
      const starting = startSandbox(daemon, 'pod');
      starting.catch(() => undefined);
      if (method !== 'StartSandbox') {
        await starting;
        await launchIn(daemon, 'pod', 'one', { runtime });
        const ending = method === 'StopSandbox' ? stopSandbox(daemon, 'pod') : removeSandbox(daemon, 'pod');
        ending.catch(() => undefined);
      }
    }
    // The fixture says so before it hangs.
    const bundle = path.join(daemon.state, daemon.namespace, '.sandboxes/pod');
    await waitFor(() => existsSync(path.join(bundle, `called-${method}`)));
  }

  test.each([
    ['CreateSandbox is gone', 'CreateSandbox', async () => (await failureOf(shutDown())).code, 'NOT_FOUND'],
    ['StartSandbox runs', 'StartSandbox', async () => (await sandboxStatus(daemon, 'pod')).state, 'SANDBOX_READY'],
    ['StopSandbox can be shut down', 'StopSandbox', shutDown, undefined],
    ['ShutdownSandbox can be shut down again', 'ShutdownSandbox', shutDown, undefined],
  ])('in the middle of %s, and leaves nothing', async (_, method, after, expected) => {
    await hangIn(method);
    await daemon.kill();
    await daemon.start();
    expect(await after()).toBe(expected);
    await shutDown().catch(() => undefined);
    for (const { id } of await listTasks(daemon)) await deleteTask(daemon, id ?? '');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});
