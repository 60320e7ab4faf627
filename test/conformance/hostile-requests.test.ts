import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { adminDefinition, tasksDefinition } from '../../src/shared/grpc/index.ts';
import { containerd } from '../../src/shared/proto/gen/task.js';
import { typeUrls, wireAny } from '../../src/shared/wire/any.ts';
import { codeOf, failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { combinations, haveRuntimes } from '../helpers/runtimes.ts';
import {
  addExec,
  createContainer,
  createTask,
  deleteContainer,
  endTask,
  getTask,
  killTask,
  launch,
  Status,
  startTask,
  waitTask,
} from '../helpers/tasks.ts';
import { uniqueName } from '../helpers/test-run.ts';

/** Requests that crash or hang a shim, with everything that it holds: none of them may reach it. */
describe.skipIf(!haveRuntimes).each(combinations)('with $title', ({ generation, placement }) => {
  let daemon: Daemon;
  /** A task that has to live through it all; with shared placement it is in the same shim. */
  let bystander: { readonly id: string; readonly pid: number };
  let shims: readonly (number | null | undefined)[];

  beforeAll(async () => {
    daemon = await Daemon.start({ generation, placement });
    const id = uniqueName('by');
    bystander = { id, pid: await launch(daemon, id) };
  });

  beforeEach(async () => {
    shims = await shimPids();
  });

  afterEach(async () => {
    expect(await getTask(daemon, bystander.id)).toMatchObject({ pid: bystander.pid, status: Status.RUNNING });
    expect(await shimPids()).toEqual(expect.arrayContaining([...shims]));
    await addExec(daemon, bystander.id, 'alive', ['/bin/sh', '-c', 'exit 3']);
    await startTask(daemon, bystander.id, 'alive');
    expect(await waitTask(daemon, bystander.id, 'alive')).toEqual({ status: 3 });
    await daemon.client.call(tasksDefinition.deleteProcess, { containerId: bystander.id, execId: 'alive' });
  });

  afterAll(async () => {
    try {
      await endTask(daemon, bystander.id);
      expect(await daemon.settled()).toEqual(nothingLeft);
    } finally {
      await daemon?.[Symbol.asyncDispose]();
    }
  });

  async function shimPids(): Promise<(number | null | undefined)[]> {
    const answer = await daemon.client.call(adminDefinition.listShims, {});
    return answer.shims.map(({ pid }) => pid);
  }

  test('an exec without a spec is refused', async () => {
    const failure = failureOf(daemon.client.call(tasksDefinition.exec, { containerId: bystander.id, execId: 'e' }));
    expect(await failure).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  test('an exec whose spec is no JSON is refused', async () => {
    const spec = wireAny({ typeUrl: typeUrls.process, value: Buffer.from('{"args":') });
    const failure = failureOf(
      daemon.client.call(tasksDefinition.exec, { containerId: bystander.id, execId: 'e', spec }),
    );
    expect(await failure).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  test('an update without resources is refused', async () => {
    const { code } = await failureOf(daemon.client.call(tasksDefinition.update, { containerId: bystander.id }));
    // UNIMPLEMENTED as long as updates are.
    expect(['INVALID_ARGUMENT', 'UNIMPLEMENTED']).toContain(code);
  });

  test('options of another type than the runtime takes are refused', async () => {
    const id = uniqueName('c');
    const value = containerd.runc.v1.CheckpointOptions.encode({ exit: true }).finish();
    const options = wireAny({ typeUrl: typeUrls.runcCheckpointOptions, value: Buffer.from(value) });
    await createContainer(daemon, id);
    expect(await failureOf(createTask(daemon, id, { options }))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await failureOf(getTask(daemon, id))).toMatchObject({ code: 'NOT_FOUND' });
    await deleteContainer(daemon, id);
  });

  test('stdout to a file with nothing for stderr harms nobody', async () => {
    const id = uniqueName('c');
    const stdout = `file://${path.join(daemon.directory, 'out.log')}`;
    await createContainer(daemon, id, { args: ['/bin/sh', '-c', 'echo hi'] });
    const outcome = await createTask(daemon, id, { stdout }).then(() => 'created', codeOf);
    expect(['created', 'INVALID_ARGUMENT']).toContain(outcome);
    if (outcome === 'created') {
      await startTask(daemon, id);
      await waitTask(daemon, id);
      await daemon.client.call(tasksDefinition.delete, { containerId: id });
    }
    await deleteContainer(daemon, id);
  });

  test('a second start of a running task is refused, and kill and delete still work', async () => {
    const id = uniqueName('c');
    await launch(daemon, id);
    expect(await failureOf(startTask(daemon, id))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    await endTask(daemon, id);
  });

  test('a second start of an exec that failed to start is refused, and it has no made-up exit', async () => {
    await addExec(daemon, bystander.id, 'bad', ['/bin/nope']);
    const first = await failureOf(startTask(daemon, bystander.id, 'bad'));
    expect(first.message).toContain('/bin/nope');
    const second = await failureOf(startTask(daemon, bystander.id, 'bad'));
    expect(second.code).toBe('INVALID_ARGUMENT');
    const deleted = daemon.client.call(tasksDefinition.deleteProcess, { containerId: bystander.id, execId: 'bad' });
    expect([undefined, 'NOT_FOUND']).toContain(await deleted.then(() => undefined, codeOf));
  });

  test('a root file system that is not there fails with the runtime’s own words and leaves nothing', async () => {
    const id = uniqueName('c');
    await createContainer(daemon, id, { rootfs: path.join(daemon.directory, 'none') });
    const failure = await failureOf(createTask(daemon, id));
    expect(failure.code).toBe('UNKNOWN');
    expect(failure.message).toMatch(/rootfs|no such file or directory/);
    expect(await failureOf(getTask(daemon, id))).toMatchObject({ code: 'NOT_FOUND' });
    expect(daemon.bundles().filter((bundle) => bundle.includes(id))).toEqual([]);
    await deleteContainer(daemon, id);
  });

  test('a signal that does not exist is refused', async () => {
    const failure = await failureOf(killTask(daemon, bystander.id, 400));
    expect(failure.code).not.toBe('UNAVAILABLE');
  });
});
