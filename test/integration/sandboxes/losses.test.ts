import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { adminDefinition, sandboxStoreDefinition as store } from '../../../src/shared/grpc/index.ts';
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
import { deleteContainer, deleteTask, endTask, subscribe } from '../../helpers/tasks.ts';
import { waitFor } from '../../helpers/wait-for.ts';
import { runtime, startDaemon, topics } from './fixture.ts';

describe('a sandbox', () => {
  let daemon: Daemon;

  beforeEach(async () => {
    daemon = await startDaemon();
  });

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  test('whose shim is killed ends its tasks with one exit each, and then itself with one', async () => {
    const events = subscribe(daemon, topics);
    await launchSandbox(daemon, 'pod', { runtime });
    for (const id of ['one', 'two']) await launchIn(daemon, 'pod', id, { runtime });
    const { shims: found } = await daemon.client.call(adminDefinition.listShims, {});
    process.kill(found[0]?.pid ?? 0, 'SIGKILL');
    expect(await waitSandbox(daemon, 'pod')).toBe(137);
    // The answer to Wait and the event take different ways here.
    const story = await waitFor(
      () => {
        const told = storyOf(events.messages).slice(2);
        return told.length >= 3 ? told : undefined;
      },
      { doing: 'the exits of the sandbox and its tasks to be told' },
    );
    expect(story.toSorted()).toEqual(['exit pod 137', 'exit task one 137', 'exit task two 137']);
    expect(story.at(-1)).toBe('exit pod 137');
    expect(await sandboxStatus(daemon, 'pod')).toMatchObject({ state: 'SANDBOX_NOTREADY', address: '' });
    // It is known until it is shut down, after a restart too.
    await daemon.kill();
    await daemon.start();
    expect(await waitSandbox(daemon, 'pod')).toBe(137);
    for (const id of ['one', 'two']) {
      expect(await deleteTask(daemon, id)).toBe(137);
      await deleteContainer(daemon, id);
    }
    await removeSandbox(daemon, 'pod');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('goes with a shim that leaves on stop and tells nothing, and its tasks have ended before', async () => {
    const events = subscribe(daemon, topics);
    await launchSandbox(daemon, 'pod', { runtime, annotations: { mute: '', leave: 'StopSandbox' } });
    expect(await sandboxStatus(daemon, 'pod')).toMatchObject({ state: 'SANDBOX_READY', pid: 0 });
    await launchIn(daemon, 'pod', 'one', { runtime });
    await stopSandbox(daemon, 'pod');
    expect(await waitSandbox(daemon, 'pod')).toBe(0);
    expect(storyOf(events.messages).slice(2)).toEqual(['exit task one 137', 'exit pod 0']);
    expect(await deleteTask(daemon, 'one')).toBe(137);
    await deleteContainer(daemon, 'one');
    await removeSandbox(daemon, 'pod');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('survives the loss of its thread, and what ends meanwhile is told once', async () => {
    const events = subscribe(daemon, topics);
    const { pid } = await launchSandbox(daemon, 'pod', { runtime });
    await launchIn(daemon, 'pod', 'one', { runtime });
    const waiting = waitSandbox(daemon, 'pod');
    const { shims: found } = await daemon.client.call(adminDefinition.listShims, {});
    await daemon.client.call(adminDefinition.restartSlot, { id: found[0]?.slot ?? 0 });
    expect(await sandboxStatus(daemon, 'pod')).toMatchObject({ pid, state: 'SANDBOX_READY' });
    await daemon.client.call(adminDefinition.restartSlot, { id: found[0]?.slot ?? 0 });
    process.kill(pid, 'SIGKILL');
    expect(await waiting).toBe(137);
    await removeSandbox(daemon, 'pod');
    expect(storyOf(events.messages).slice(2)).toEqual(['exit task one 137', 'exit pod 137']);
    await deleteTask(daemon, 'one');
    await deleteContainer(daemon, 'one');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('whose shim is stopped makes nobody else wait, and can be shut down', async () => {
    await launchSandbox(daemon, 'stuck', { runtime });
    await launchIn(daemon, 'stuck', 'one', { runtime });
    await launchSandbox(daemon, 'pod', { runtime });
    const { shims: found } = await daemon.client.call(adminDefinition.listShims, {});
    const stuck = found.find(({ id }) => id === 'stuck')?.pid ?? 0;
    process.kill(stuck, 'SIGSTOP');
    const since = Date.now();
    // The last known state, once the state deadline has passed.
    expect(await sandboxStatus(daemon, 'stuck')).toMatchObject({ state: 'SANDBOX_READY' });
    expect(await sandboxStatus(daemon, 'pod')).toMatchObject({ state: 'SANDBOX_READY' });
    await launchIn(daemon, 'pod', 'two', { runtime });
    await endTask(daemon, 'two');
    await removeSandbox(daemon, 'pod');
    await removeSandbox(daemon, 'stuck');
    console.log(`timing: a stuck sandbox and its neighbour took ${Date.now() - since} ms`);
    expect(isAlive(stuck)).toBe(false);
    expect(await deleteTask(daemon, 'one')).toBe(137);
    await deleteContainer(daemon, 'one');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test.each([
    ['CreateSandbox', 'fail'],
    ['CreateSandbox', 'hang'],
    ['StartSandbox', 'fail'],
  ])('whose %s does not come through, as it is made to %s, is gone, and its id works again', async (method, how) => {
    const launching = launchSandbox(daemon, 'pod', {
      runtime,
      annotations: { [how]: method },
      ...(how === 'hang' ? { call: { budget: 10_000 } } : {}),
    });
    await failureOf(launching);
    await daemon.client.call(store.delete, { sandboxId: 'pod' });
    // What was given up is undone behind its caller's back; the id is taken until then.
    await waitFor(
      async () => {
        const creating = createSandbox(daemon, 'pod', { runtime });
        const done = await creating.then(
          () => true,
          () => false,
        );
        if (!done) await daemon.client.call(store.delete, { sandboxId: 'pod' });
        return done;
      },
      { budget: 30_000 },
    );
    await startSandbox(daemon, 'pod');
    await removeSandbox(daemon, 'pod');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});
