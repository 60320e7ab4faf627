import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  adminDefinition,
  sandboxControllerDefinition as controller,
  sandboxStoreDefinition as store,
} from '../../src/shared/grpc/index.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { type Combination, combinations, haveRuntimes } from '../helpers/runtimes.ts';
import {
  createMember,
  createSandbox,
  launchIn,
  launchSandbox,
  removeSandbox,
  sandboxStatus,
  stopSandbox,
  storyOf,
  waitSandbox,
} from '../helpers/sandboxes.ts';
import { specAny } from '../helpers/spec.ts';
import {
  createTask,
  deleteContainer,
  deleteTask,
  endTask,
  exitsIn,
  getTask,
  killTask,
  launch,
  runcRuntime as runtime,
  Status,
  subscribe,
  waitTask,
} from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';

const topics = 'topic~="^/(sandboxes|tasks)/"';

/** The generations whose version is as wanted, each once; one that does not run where there is none. */
function only(wanted: (version: string) => boolean): readonly Combination[] {
  const found = combinations.filter(
    ({ generation, placement }) => placement === 'per-task' && wanted(generation.version),
  );
  return found.length > 0 || haveRuntimes ? found : combinations.slice(0, 1);
}

const serving = only((version) => version.startsWith('1.7.'));
const lacking = only((version) => !version.startsWith('1.7.'));

let daemon: Daemon;
afterEach(() => daemon?.[Symbol.asyncDispose]());

describe.skipIf(!haveRuntimes).each(serving)('a sandbox in the shim of runc, $title', ({ generation }) => {
  beforeEach(async () => {
    daemon = await Daemon.start({ generation });
  });

  test('has runc tasks in its shim, outlives a killed daemon with them, and ends after them', async () => {
    const { address } = await launchSandbox(daemon, 'pod', { runtime });
    expect(address).toMatch(/^ttrpc\+unix:\/\/\//);
    // Its shim tells nothing of it.
    expect(await sandboxStatus(daemon, 'pod')).toMatchObject({ state: 'SANDBOX_READY', pid: 0 });
    const { platform } = await daemon.client.call(controller.platform, { sandboxId: 'pod' });
    expect(platform).toMatchObject({ os: 'linux' });
    const pids = [await launchIn(daemon, 'pod', 'pod'), await launchIn(daemon, 'pod', 'two')];
    await daemon.kill();
    await daemon.start();
    const events = subscribe(daemon, topics);
    const { shims } = await daemon.client.call(adminDefinition.listShims, {});
    expect(shims.map(({ id, placement, tasks }) => ({ id, placement, tasks }))).toEqual([
      { id: 'pod', placement: 'sandbox', tasks: 2 },
    ]);
    expect(await sandboxStatus(daemon, 'pod')).toMatchObject({ state: 'SANDBOX_READY' });
    await launchIn(daemon, 'pod', 'three');
    const waiting = waitSandbox(daemon, 'pod');
    // This shim leaves at once, with what is in it.
    await stopSandbox(daemon, 'pod');
    expect(await waiting).toBe(0);
    expect(pids.filter(isAlive)).toEqual([]);
    await removeSandbox(daemon, 'pod');
    for (const id of ['pod', 'two', 'three']) {
      expect(await deleteTask(daemon, id)).toBe(137);
      await deleteContainer(daemon, id);
    }
    const story = storyOf(events.messages);
    expect(story.toSorted()).toEqual(['exit pod 0', 'exit task pod 137', 'exit task three 137', 'exit task two 137']);
    expect(story.at(-1)).toBe('exit pod 0');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('whose shim is killed leaves no process of its tasks, and tells each exit once', async () => {
    const events = subscribe(daemon, topics);
    await launchSandbox(daemon, 'pod', { runtime });
    const pids = [await launchIn(daemon, 'pod', 'one'), await launchIn(daemon, 'pod', 'two')];
    const { shims } = await daemon.client.call(adminDefinition.listShims, {});
    process.kill(shims[0]?.pid ?? 0, 'SIGKILL');
    expect(await waitSandbox(daemon, 'pod')).toBe(137);
    expect(pids.filter(isAlive)).toEqual([]);
    await removeSandbox(daemon, 'pod');
    for (const id of ['one', 'two']) {
      expect(await deleteTask(daemon, id)).toBe(137);
      await deleteContainer(daemon, id);
    }
    const story = storyOf(events.messages).slice(2);
    expect(story.toSorted()).toEqual(['exit pod 137', 'exit task one 137', 'exit task two 137']);
    expect(story.at(-1)).toBe('exit pod 137');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('can be listed and removed with ctr, whose own run creates none before it starts it', async () => {
    const newest = combinations.at(-1)?.generation ?? generation;
    const config = path.join(daemon.directory, 'pod.json');
    await writeFile(config, '{"ociVersion":"1.0.2"}');
    const ran = await daemon.ctr(newest, ['sandboxes', 'run', '--runtime', runtime, config, 'other']);
    expect(ran).toMatchObject({ code: 1, stderr: expect.stringContaining('sandbox other not found') });
    await launchSandbox(daemon, 'pod', { runtime });
    expect((await daemon.ctr(newest, ['sandboxes', 'ls'])).stdout).toMatch(/^pod\s.*runc/m);
    expect(await daemon.ctr(newest, ['sandboxes', 'rm', 'pod'])).toMatchObject({ code: 0 });
    await daemon.client.call(store.delete, { sandboxId: 'other' });
    expect((await daemon.client.call(store.list, {})).list).toEqual([]);
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});

describe.skipIf(!haveRuntimes).each(lacking)('without the sandbox service, $title', ({ generation }) => {
  beforeEach(async () => {
    daemon = await Daemon.start({ generation });
  });

  test('a sandbox is refused in words that say what to do, and nothing is left of it', async () => {
    const failure = await failureOf(createSandbox(daemon, 'pod', { runtime }));
    expect(failure.code).toBe('UNIMPLEMENTED');
    expect(failure.message).toContain('io.kubernetes.cri.sandbox-id');
    expect((await failureOf(waitSandbox(daemon, 'pod'))).code).toBe('NOT_FOUND');
    // Its metadata is there, so that a task of it is no mistake of a name.
    await createMember(daemon, 'pod', 'one');
    expect((await failureOf(createTask(daemon, 'one'))).code).toBe('NOT_FOUND');
    await deleteContainer(daemon, 'one');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test.each(['io.kubernetes.cri.sandbox-id', 'io.containerd.runc.v2.group'])(
    'tasks of one %s are in one shim, adopted together after a kill, and each exit comes once',
    async (annotation) => {
      const grouped = (id: string, group: string) => ({
        spec: specAny({
          id: `${daemon.namespace}/${id}`,
          args: ['/bin/sh', '-c', 'trap "exit 5" TERM; while :; do sleep 1000 & wait $!; done'],
          more: { annotations: { [annotation]: group } },
        }),
      });
      const pids = new Map<string, number>();
      for (const id of ['one', 'two', 'three']) pids.set(id, await launch(daemon, id, grouped(id, 'pod')));
      pids.set('apart', await launch(daemon, 'apart', grouped('apart', 'other')));
      const addresses = async () => {
        const { shims } = await daemon.client.call(adminDefinition.listShims, {});
        return new Map(shims.map(({ id, address }) => [id, address]));
      };
      const before = await addresses();
      expect(new Set(['one', 'two', 'three'].map((id) => before.get(id))).size).toBe(1);
      expect(before.get('apart')).not.toBe(before.get('one'));

      await daemon.kill();
      process.kill(pids.get('three') ?? 0, 'SIGKILL');
      await waitFor(() => !isAlive(pids.get('three') ?? 0));
      await daemon.start();
      const exits = subscribe(daemon, 'topic=="/tasks/exit"');
      expect(await addresses()).toEqual(before);
      for (const id of ['one', 'two', 'apart']) {
        expect(await getTask(daemon, id)).toMatchObject({ status: Status.RUNNING, pid: pids.get(id) });
      }
      expect(await waitTask(daemon, 'three')).toEqual({ status: 137 });
      // The first one's bundle is where the shim was started: it lives on for the others.
      await endTask(daemon, 'one');
      expect(await getTask(daemon, 'two')).toMatchObject({ status: Status.RUNNING });
      await deleteTask(daemon, 'three');
      await deleteContainer(daemon, 'three');
      await launch(daemon, 'four', grouped('four', 'pod'));
      expect((await addresses()).get('four')).toBe(before.get('two'));

      const earlier = [...exits.messages];
      await daemon.kill();
      await daemon.start();
      const more = subscribe(daemon, 'topic=="/tasks/exit"');
      await killTask(daemon, 'two', 15);
      expect(await waitTask(daemon, 'two')).toEqual({ status: 5 });
      await deleteTask(daemon, 'two');
      await deleteContainer(daemon, 'two');
      for (const id of ['four', 'apart']) await endTask(daemon, id);
      const told = [...exitsIn(earlier), ...exitsIn(more.messages)].map(({ container }) => container);
      expect(told.toSorted()).toEqual(['apart', 'four', 'one', 'three', 'two']);
      expect(await daemon.settled()).toEqual(nothingLeft);
    },
  );

  test('a group whose shim is killed ends each of its tasks once, and leaves no process', async () => {
    const grouped = (id: string) => ({
      spec: specAny({
        id: `${daemon.namespace}/${id}`,
        args: ['sleep', '3600'],
        more: { annotations: { 'io.kubernetes.cri.sandbox-id': 'pod' } },
      }),
    });
    const exits = subscribe(daemon, 'topic=="/tasks/exit"');
    const pids = [await launch(daemon, 'one', grouped('one')), await launch(daemon, 'two', grouped('two'))];
    const { shims } = await daemon.client.call(adminDefinition.listShims, {});
    const pid = shims.find((shim) => (shim.pid ?? 0) > 0)?.pid ?? 0;
    process.kill(pid, 'SIGKILL');
    for (const id of ['one', 'two']) expect(await waitTask(daemon, id)).toEqual({ status: 137 });
    await waitFor(() => pids.filter(isAlive).length === 0);
    for (const id of ['one', 'two']) {
      await deleteTask(daemon, id);
      await deleteContainer(daemon, id);
    }
    expect(
      exitsIn(exits.messages)
        .map(({ container }) => container)
        .toSorted(),
    ).toEqual(['one', 'two']);
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});
