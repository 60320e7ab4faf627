import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  adminDefinition,
  sandboxControllerDefinition as controller,
  sandboxStoreDefinition as store,
  tasksDefinition,
} from '../../src/shared/grpc/index.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { fixtureRuntime, fixtureShims } from '../helpers/fixture-shims.ts';
import { isAlive } from '../helpers/leftovers.ts';
import {
  createMember,
  createSandbox,
  embeddedRuntimeName,
  hostSpec,
  launchIn,
  launchSandbox,
  removeSandbox,
  sandboxStatus,
  startSandbox,
  stopSandbox,
  storyOf,
  waitSandbox,
} from '../helpers/sandboxes.ts';
import {
  createTask,
  deleteContainer,
  deleteTask,
  endTask,
  getTask,
  launch,
  listTasks,
  Status,
  startTask,
  subscribe,
  waitTask,
} from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';

const runtime = fixtureRuntime('sandbox');
const topics = 'topic~="^/(sandboxes|tasks)/"';

describe('a sandbox', () => {
  let daemon: Daemon;

  beforeEach(async () => {
    daemon = await Daemon.start({
      programs: [fixtureShims],
      config: '[deadlines]\nstate = "1s"\nshutdown = "1s"\ncleanup = "2s"\n',
    });
  });

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  async function shims() {
    const answer = await daemon.client.call(adminDefinition.listShims, {});
    return answer.shims.map(({ id, placement, tasks }) => ({ id, placement, tasks }));
  }

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
    expect(await shims()).toEqual([{ id: 'pod', placement: 'sandbox', tasks: 2 }]);
    for (const id of ['pod', 'other']) await endTask(daemon, id);
    expect(await shims()).toEqual([{ id: 'pod', placement: 'sandbox', tasks: 0 }]);
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
    expect(await shims()).toEqual([]);
    for (const id of ['one', 'unstarted']) {
      expect(await deleteTask(daemon, id)).toBe(137);
      await deleteContainer(daemon, id);
    }
    // The id works again.
    await launchSandbox(daemon, 'pod', { runtime });
    await removeSandbox(daemon, 'pod');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  describe('that was killed with the daemon', () => {
    test('is adopted with its tasks, and each exit comes once', async () => {
      const { pid } = await launchSandbox(daemon, 'pod', { runtime });
      for (const id of ['one', 'two']) await launchIn(daemon, 'pod', id, { runtime });
      await daemon.kill();
      await daemon.start();
      const events = subscribe(daemon, topics);
      expect(await sandboxStatus(daemon, 'pod')).toMatchObject({ pid, state: 'SANDBOX_READY' });
      expect(await shims()).toEqual([{ id: 'pod', placement: 'sandbox', tasks: 2 }]);
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
    expect(await shims()).toEqual([{ id: 'one', placement: 'joined', tasks: 1 }]);
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

describe('a sandbox of the embedded runtime', () => {
  let daemon: Daemon;

  beforeEach(async () => {
    daemon = await Daemon.start();
  });

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  const embedded = { runtime: embeddedRuntimeName };
  const sleeper = { ...embedded, spec: hostSpec(['sleep', '3600']) };

  test('runs the process of its spec, and takes its tasks with it, over a restart too', async () => {
    const { pid } = await launchSandbox(daemon, 'pod', sleeper);
    await launchIn(daemon, 'pod', 'one', sleeper);
    expect(await sandboxStatus(daemon, 'pod', true)).toMatchObject({ pid, state: 'SANDBOX_READY' });
    const { platform } = await daemon.client.call(controller.platform, { sandboxId: 'pod' });
    expect(platform?.os).toBe('linux');
    const { metrics } = await daemon.client.call(controller.metrics, { sandboxId: 'pod' });
    expect(metrics?.data?.type_url).toContain('Metrics');
    await daemon.kill();
    await daemon.start();
    const events = subscribe(daemon, topics);
    expect(await sandboxStatus(daemon, 'pod')).toMatchObject({ pid, state: 'SANDBOX_READY' });
    process.kill(pid, 'SIGTERM');
    expect(await waitSandbox(daemon, 'pod')).toBe(143);
    await removeSandbox(daemon, 'pod');
    expect(storyOf(events.messages)).toEqual(['exit task one 137', 'exit pod 143']);
    expect(await deleteTask(daemon, 'one')).toBe(137);
    await deleteContainer(daemon, 'one');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('whose start was cut off before its shim had it can be started', async () => {
    await createSandbox(daemon, 'pod', sleeper);
    await daemon.kill();
    // Which is written before the shim is asked.
    const record = path.join(daemon.state, daemon.namespace, '.sandboxes/pod/sandbox.json');
    writeFileSync(record, readFileSync(record, 'utf8').replace('"created"', '"starting"'));
    await daemon.start();
    const { pid } = await startSandbox(daemon, 'pod');
    expect(await sandboxStatus(daemon, 'pod')).toMatchObject({ pid, state: 'SANDBOX_READY' });
    await removeSandbox(daemon, 'pod');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('without a process lasts until it is stopped', async () => {
    await launchSandbox(daemon, 'pod', embedded);
    await launchIn(daemon, 'pod', 'one', sleeper);
    await endTask(daemon, 'one');
    expect(await sandboxStatus(daemon, 'pod')).toMatchObject({ pid: 0, state: 'SANDBOX_READY' });
    await stopSandbox(daemon, 'pod');
    expect(await waitSandbox(daemon, 'pod')).toBe(0);
    await removeSandbox(daemon, 'pod');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('whose shim is killed leaves neither its process nor its tasks', async () => {
    const { pid } = await launchSandbox(daemon, 'pod', sleeper);
    const task = await launchIn(daemon, 'pod', 'one', sleeper);
    const { shims } = await daemon.client.call(adminDefinition.listShims, {});
    process.kill(shims[0]?.pid ?? 0, 'SIGKILL');
    expect(await waitSandbox(daemon, 'pod')).toBe(137);
    await removeSandbox(daemon, 'pod');
    await waitFor(() => !isAlive(pid) && !isAlive(task));
    await deleteTask(daemon, 'one');
    await deleteContainer(daemon, 'one');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});
