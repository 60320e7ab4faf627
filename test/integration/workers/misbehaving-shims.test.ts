import { existsSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseNamespace, parseShimId, parseTaskId, type TaskRef } from '../../../src/shared/identifiers.ts';
import type { CreateTaskReply, ReplyOf, WorkerSettings } from '../../../src/shared/messages/index.ts';
import { repository } from '../../helpers/runtimes.ts';
import { uniqueName } from '../../helpers/test-run.ts';
import { waitFor } from '../../helpers/wait-for.ts';
import { TestHost, TestSlot } from './worker-slot.ts';

const nowhere = { stdin: '', stdout: '', stderr: '', terminal: false };
const namespace = parseNamespace('test');
const shimBinary = (name: string) => path.join(repository, `test/fixtures/shims/containerd-shim-${name}-v1`);

describe('a worker thread with a shim that misbehaves', () => {
  let host: TestHost;
  let slot: TestSlot;
  let ref: TaskRef;

  async function open(deadlines: Partial<WorkerSettings['deadlines']> = {}): Promise<void> {
    slot = await TestSlot.open(host.settings({ deadlines }));
  }

  beforeEach(async () => {
    host = await TestHost.open();
    ref = { namespace, task: parseTaskId(uniqueName('task')) };
  });

  afterEach(async () => {
    await slot.terminate();
    await host.close();
  });

  const create = (binary: string, more: { spec?: string; deadline?: number } = {}): Promise<CreateTaskReply> =>
    slot.run({
      kind: 'create-task',
      ...ref,
      choice: { kind: 'own', start: { shim: parseShimId(ref.task), binary } },
      spec: Buffer.from(more.spec ?? '{}'),
      rootfs: [],
      stdio: nowhere,
      checkpoint: '',
      runtime: binary,
      ...(more.deadline === undefined ? {} : { deadline: more.deadline }),
    });

  /** Everything of the task is gone, and its name is free. */
  async function nothingLeft(): Promise<void> {
    expect(await host.leftovers()).toEqual([]);
    // What was killed takes a moment to go.
    await expect.poll(() => host.workingProcesses()).toEqual([]);
  }

  test.each([
    ['a missing binary', '/no/such/containerd-shim-x-v1', 'UNKNOWN', /is not installed/],
    [
      'an action that exits non-zero',
      shimBinary('failing-start'),
      'UNKNOWN',
      /the moon is in the wrong phase.*exit status 3/,
    ],
    [
      'an action that panics',
      shimBinary('dying-start'),
      'UNKNOWN',
      /panic: runtime error: fixture[^]*killed by SIGABRT/,
    ],
    ['a program that is no shim', shimBinary('rubbish'), 'UNKNOWN', /instead of an address/],
    ['an unknown protocol', shimBinary('odd-protocol'), 'UNKNOWN', /carrier-pigeon/],
    ['a version from the future', shimBinary('future-version'), 'UNIMPLEMENTED', /not implemented/],
    ['a socket that refuses', shimBinary('refusing-socket'), 'UNAVAILABLE', /./],
    ['a create that fails', shimBinary('failing-create'), expect.any(String), /./],
    ['an answer that is no frame', shimBinary('garbage'), expect.any(String), /./],
  ])('answers %s with an error and leaves nothing', async (_, binary, code, message) => {
    await open();
    const failed = create(binary);
    await expect(failed).rejects.toMatchObject({ code });
    await expect(failed).rejects.toThrow(message);
    await nothingLeft();
    // The name is free.
    const again = create('/nonexistent/containerd-shim-none-v1');
    await expect(again).rejects.toMatchObject({ code: 'UNKNOWN', message: expect.stringContaining('not installed') });
  });

  test('kills a start action that never ends at its deadline', async () => {
    await open({ start: 500 });
    await expect(create(shimBinary('silent-start'))).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await nothingLeft();
  });

  test('takes the address of a shim that keeps its start action’s output open', async () => {
    await open();
    const { pid } = await create(shimBinary('lingering-stdout'));
    expect(pid).toBeGreaterThan(0);
    await slot.run({ kind: 'destroy-task', ...ref });
    await nothingLeft();
  });

  test('speaks version 2 to a shim that claims version 3, and remembers it', async () => {
    await open();
    const { shim } = await create(shimBinary('v2-only'));
    expect(shim).toMatchObject({ apiVersion: 2 });
    const bundle = path.join(host.directories.state, 'test', ref.task);
    await slot.terminate();
    await open();
    const adopt = { kind: 'adopt-shim', namespace, shim: parseShimId(ref.task), mode: 'per-task', bundle } as const;
    const adopted: ReplyOf<'adopt-shim'> = await slot.run({ ...adopt, tasks: [ref] });
    expect(adopted).toMatchObject({ shim: { apiVersion: 2 }, tasks: [{ kind: 'live' }] });
    await slot.run({ kind: 'destroy-task', ...ref });
    await nothingLeft();
  });

  test('ends a create at its deadline and undoes it while the shim still hangs in it', async () => {
    await open({ call: 500, cleanup: 1000, shutdown: 500 });
    const deadline = Date.now() + 1500;
    await expect(create(shimBinary('hanging-create'), { deadline })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    await waitFor(async () => (await host.leftovers()).length === 0);
    await nothingLeft();
  });

  test('destroys a task whose shim answers nothing any more', async () => {
    await open({ state: 300, cleanup: 1000, shutdown: 500 });
    const { pid } = await create(shimBinary('hanging-after-create'));
    await expect(slot.run({ kind: 'state', ...ref, deadline: Date.now() + 200 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    const { exits } = await slot.run({ kind: 'destroy-task', ...ref });
    expect(exits).toMatchObject([{ pid, status: 137, source: 'made-up' }]);
    await nothingLeft();
    expect(existsSync(`/proc/${pid}/exe`)).toBe(false);
    await expect(slot.run({ kind: 'state', ...ref })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('leaves a stopped shim alone at adoption, and can still destroy its task', async () => {
    await open({ cleanup: 1000, shutdown: 500 });
    const { pid, shim } = await create(shimBinary('plain'));
    await slot.terminate();
    process.kill(shim.pid, 'SIGSTOP');
    await open({ load: 500, cleanup: 1000, shutdown: 500 });
    const bundle = path.join(host.directories.state, 'test', ref.task);
    const adopted = await slot.run({
      kind: 'adopt-shim',
      namespace,
      shim: parseShimId(ref.task),
      mode: 'per-task',
      bundle,
      tasks: [ref],
    });
    expect(adopted.tasks).toMatchObject([{ kind: 'silent', task: ref.task }]);
    await expect(slot.run({ kind: 'state', ...ref, deadline: Date.now() + 200 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    const { exits } = await slot.run({ kind: 'destroy-task', ...ref });
    expect(exits).toMatchObject([{ pid, status: 137 }]);
    await nothingLeft();
  });

  test('refuses every operation until it is attached', async () => {
    slot = await TestSlot.openDetached(host.settings());
    await expect(slot.run({ kind: 'pids', ...ref })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });
});
