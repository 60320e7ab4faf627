import { describe, expect, test } from 'vitest';
import { parseExecId } from '../../../src/shared/identifiers.ts';
import { typeUrls } from '../../../src/shared/wire/any.ts';
import { combinations, haveRuntimes } from '../../helpers/runtimes.ts';
import { jsonAny, processSpec } from '../../helpers/spec.ts';
import { newTask, nowhere, RuncThread } from './runc-thread.ts';

describe.skipIf(!haveRuntimes).each(combinations)('$title: a worker thread', (combination) => {
  const thread = new RuncThread(combination);

  test('runs a task to its end, reports its exit once and leaves nothing', async () => {
    const ref = newTask();
    const { pid } = await thread.create(ref, ['/bin/sh', '-c', 'exit 7']);
    expect(pid).toBeGreaterThan(0);
    expect(await thread.slot.run({ kind: 'start', ...ref })).toEqual({ pid });
    const exit = await thread.slot.report('exit', (report) => report.task === ref.task);
    expect(exit).toMatchObject({ pid, status: 7, source: 'wait' });
    const deleted = await thread.slot.run({ kind: 'delete', ...ref });
    expect(deleted).toEqual({ pid, status: 7, exitedAt: exit.exitedAt });
    await expect(thread.slot.run({ kind: 'delete', ...ref })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await thread.stopShared();
    expect(thread.exitsOf(ref)).toHaveLength(1);
    expect(await thread.host.leftovers()).toEqual([]);
  });

  test('runs an exec beside init and reports both exits', async () => {
    const ref = newTask();
    await thread.create(ref, ['/bin/sleep', '1000']);
    await thread.slot.run({ kind: 'start', ...ref });
    const exec = parseExecId('one');
    const spec = jsonAny(typeUrls.process, processSpec({ args: ['/bin/sh', '-c', 'exit 3'] }));
    await thread.slot.run({ kind: 'exec', ...ref, exec, stdio: nowhere, spec });
    const { pid } = await thread.slot.run({ kind: 'start', ...ref, exec });
    const exit = await thread.slot.report('exit', (report) => report.exec === exec);
    expect(exit).toMatchObject({ pid, status: 3 });
    expect(await thread.slot.run({ kind: 'state', ...ref, exec })).toMatchObject({
      status: 'stopped',
      exec,
      exit: { status: 3 },
    });
    expect(await thread.slot.run({ kind: 'delete', ...ref, exec })).toMatchObject({ pid, status: 3 });
    await thread.slot.run({ kind: 'kill', ...ref, signal: 9, all: true });
    expect(await thread.slot.report('exit', (report) => report.exec === undefined)).toMatchObject({ status: 137 });
    await thread.slot.run({ kind: 'delete', ...ref });
    await thread.stopShared();
    expect(await thread.host.leftovers()).toEqual([]);
  });

  test('leaves nothing of a create that the runtime refuses, and the id works again', async () => {
    const ref = newTask();
    const missing = thread.create(ref, ['/no/such/program']);
    await expect(missing).rejects.toThrow(/no such file|executable file/);
    expect((await thread.host.leftovers()).filter((file) => file.includes(ref.task))).toEqual([]);
    await thread.create(ref, ['/bin/true']);
    await thread.slot.run({ kind: 'start', ...ref });
    await thread.slot.report('exit', (report) => report.task === ref.task);
    await thread.slot.run({ kind: 'delete', ...ref });
    await thread.stopShared();
    expect(thread.exitsOf(ref)).toHaveLength(1);
    expect(await thread.host.leftovers()).toEqual([]);
  });

  test('starts a failed exec no second time, and deletes it', async () => {
    const ref = newTask();
    await thread.create(ref, ['/bin/sleep', '1000']);
    await thread.slot.run({ kind: 'start', ...ref });
    await expect(thread.slot.run({ kind: 'delete', ...ref })).rejects.toMatchObject({
      code: expect.stringMatching(/./),
    });
    const exec = parseExecId('bad');
    const spec = jsonAny(typeUrls.process, processSpec({ args: ['/no/such/program'] }));
    await thread.slot.run({ kind: 'exec', ...ref, exec, stdio: nowhere, spec });
    await expect(thread.slot.run({ kind: 'start', ...ref, exec })).rejects.toThrow(/no such file|executable file/);
    await expect(thread.slot.run({ kind: 'start', ...ref, exec })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
    await thread.slot.run({ kind: 'delete', ...ref, exec });
    await expect(thread.slot.run({ kind: 'delete', ...ref, exec })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await thread.slot.run({ kind: 'state', ...ref })).toMatchObject({ status: 'running' });
    await thread.slot.run({ kind: 'destroy-task', ...ref });
    await thread.stopShared();
    expect(thread.exitsOf(ref)).toHaveLength(1);
  });

  test('destroys a running task', async () => {
    const ref = newTask();
    await thread.create(ref, ['/bin/sleep', '1000']);
    await thread.slot.run({ kind: 'start', ...ref });
    expect(await thread.slot.run({ kind: 'destroy-task', ...ref })).toMatchObject({ exits: [{ status: 137 }] });
    await thread.stopShared();
    expect(await thread.host.leftovers()).toEqual([]);
  });
});
