import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseNamespace, parseTaskId, type TaskRef } from '../../../src/shared/identifiers.ts';
import { sharedShimBundle } from '../../../src/shared/layout.ts';
import type { ExitReport, ShimLateReport } from '../../../src/shared/messages/index.ts';
import { isAlive } from '../../helpers/leftovers.ts';
import { uniqueName } from '../../helpers/test-run.ts';
import { waitFor } from '../../helpers/wait-for.ts';
import { createFixtureTask, launchFixtureTask, startFixtureShim } from './fixture-task.ts';
import { TestHost, TestSlot } from './worker-slot.ts';

const heartbeat = 100;
/** Few looks: so that tests of what is made up are short. */
const short = 1000;
const namespace = parseNamespace('test');

describe('the heartbeat of a slot', () => {
  let host: TestHost;
  let slot: TestSlot;
  let ref: TaskRef;

  beforeEach(async () => {
    host = await TestHost.open();
    ref = { namespace, task: parseTaskId(uniqueName('task')) };
  });

  /** A slot that believes its shims for so long. */
  async function open(lostExitAfter = short): Promise<void> {
    const deadlines = { state: 300, cleanup: 2000, shutdown: 500, call: 3000 };
    slot = await TestSlot.open(host.settings({ heartbeat, lostExitAfter, deadlines }));
  }

  afterEach(async () => {
    await slot.terminate();
    await host.close();
  });

  const exits = (): readonly ExitReport[] =>
    slot.reports.filter((report): report is ExitReport => report.kind === 'exit');
  const lateness = (): readonly boolean[] =>
    slot.reports.filter((report): report is ShimLateReport => report.kind === 'shim-late').map(({ late }) => late);
  const logged = (message: string): number =>
    slot.reports.filter((report) => report.kind === 'log' && report.message === message).length;
  /** That the shim of a task has been asked this often for a process that is gone, and called it alive. */
  const denied = (task: string, times: number) =>
    slot.report(
      'log',
      ({ message, fields }) =>
        message === 'exit not told' && fields['task'] === task && Number(fields['denials']) >= times,
    );
  const letTell = (task: string) => writeFileSync(path.join(host.directories.state, 'test', task, 'tell'), '');

  async function nothingLeft(): Promise<void> {
    expect(await host.leftovers()).toEqual([]);
    expect(await host.workingProcesses()).toEqual([]);
  }

  test('finds the exit of a process whose Wait hangs for ever, with its real status, once', async () => {
    await open();
    const { pid } = await launchFixtureTask(slot, ref, 'silent-wait');
    process.kill(pid, 'SIGTERM');
    expect(await slot.report('exit')).toMatchObject({ task: ref.task, pid, status: 143, source: 'state' });
    expect(await slot.run({ kind: 'delete', ...ref })).toMatchObject({ pid, status: 143 });
    expect(exits()).toHaveLength(1);
    expect(lateness()).toEqual([]);
    await nothingLeft();
  });

  test('makes an exit up for a process that is gone only after its shim has denied it three times and for long', async () => {
    await open();
    const { pid } = await launchFixtureTask(slot, ref, 'lost-exit');
    const began = performance.now();
    process.kill(pid, 'SIGKILL');
    expect(await slot.report('exit')).toMatchObject({ task: ref.task, pid, status: 255, source: 'made-up' });
    expect(performance.now() - began).toBeGreaterThan(short);
    expect(logged('exit found without the shim')).toBe(1);
    expect(logged('exit not told')).toBeGreaterThanOrEqual(3);
    // Its shim refuses to delete what it calls running; nothing of it is left all the same.
    expect(await slot.run({ kind: 'delete', ...ref })).toMatchObject({ pid, status: 255 });
    expect(exits()).toHaveLength(1);
    await nothingLeft();
  });

  test('takes the status that a shim tells after all in place of one that was made up', async () => {
    await open();
    const { pid } = await launchFixtureTask(slot, ref, 'lost-exit');
    process.kill(pid, 'SIGTERM');
    await slot.report('exit');
    letTell(ref.task);
    await slot.report('exit', ({ source }) => source === 'wait');
    expect(exits()).toMatchObject([
      { status: 255, source: 'made-up' },
      { status: 143, source: 'wait' },
    ]);
    expect(await slot.run({ kind: 'delete', ...ref })).toMatchObject({ pid, status: 143 });
    await nothingLeft();
  });

  test('believes a shim that is far behind, and tells the real status alone', async () => {
    await open(30_000);
    const { pid } = await launchFixtureTask(slot, ref, 'lost-exit');
    process.kill(pid, 'SIGTERM');
    await denied(ref.task, 10);
    expect(exits()).toEqual([]);
    letTell(ref.task);
    expect(await slot.report('exit')).toMatchObject({ pid, status: 143 });
    expect(await slot.run({ kind: 'delete', ...ref })).toMatchObject({ pid, status: 143 });
    expect(exits()).toMatchObject([{ pid, status: 143 }]);
    expect(logged('exit found without the shim')).toBe(0);
    await nothingLeft();
  });

  test('believes a shim anew with each exit that it was behind with', async () => {
    const patience = 3000;
    await open(patience);
    const shared = await startFixtureShim(slot, namespace, 'shared', 'lost-exit');
    const refs = ['first', 'second'].map((name) => ({ namespace, task: parseTaskId(uniqueName(name)) }));
    const pids: number[] = [];
    for (const one of refs) {
      const choice = { kind: 'running', shim: shared.id } as const;
      pids.push((await createFixtureTask(slot, one, 'lost-exit', choice)).pid);
      await slot.run({ kind: 'start', ...one });
    }
    const [first, second] = refs;
    if (first === undefined || second === undefined) throw new Error('two tasks were made');
    for (const pid of pids) process.kill(pid, 'SIGTERM');
    await denied(second.task, 3);
    const told = performance.now();
    letTell(first.task);
    await slot.report('exit', ({ task }) => task === first.task);
    await slot.report('exit', ({ task }) => task === second.task);
    expect(performance.now() - told).toBeGreaterThan(patience);
    expect(exits()).toMatchObject([
      { task: first.task, status: 143 },
      { task: second.task, status: 255, source: 'made-up' },
    ]);
    for (const one of refs) await slot.run({ kind: 'delete', ...one });
    const bundle = sharedShimBundle(host.directories, namespace, shared.id);
    await slot.run({ kind: 'stop-shim', namespace, shim: shared.id, bundle });
    await nothingLeft();
  });

  test('believes a shim that waits for a runtime, and ends that when it has hung for longer than a call may', async () => {
    await open(300);
    const { pid } = await launchFixtureTask(slot, ref, 'held-up');
    process.kill(pid, 'SIGTERM');
    expect(await slot.report('exit')).toMatchObject({ pid, status: 143 });
    expect(logged('stuck runtime killed')).toBe(1);
    expect(await slot.run({ kind: 'delete', ...ref })).toMatchObject({ pid, status: 143 });
    expect(exits()).toHaveLength(1);
    expect(logged('exit found without the shim')).toBe(0);
    await nothingLeft();
  });

  test('tells of a shim that answers no more, and of its answering again, and makes up nothing meanwhile', async () => {
    await open();
    const { shim, pid } = await launchFixtureTask(slot, ref, 'plain');
    const other = { namespace, task: parseTaskId(uniqueName('other')) };
    const sound = await launchFixtureTask(slot, other, 'plain');
    process.kill(shim.pid, 'SIGSTOP');
    await slot.report('shim-late', ({ late }) => late);
    // The others are not held up.
    process.kill(sound.pid, 'SIGTERM');
    await slot.report('exit', ({ task }) => task === other.task);
    expect(isAlive(pid)).toBe(true);
    process.kill(shim.pid, 'SIGCONT');
    await slot.report('shim-late', ({ late }) => !late);
    expect(lateness()).toEqual([true, false]);
    expect(exits().filter(({ task }) => task === ref.task)).toEqual([]);
    await slot.run({ kind: 'destroy-task', ...ref });
    await slot.run({ kind: 'delete', ...other });
    await nothingLeft();
  });

  test('reads the status of a process that ended under a stopped shim, and tells it once', async () => {
    await open();
    const { shim, pid } = await launchFixtureTask(slot, ref, 'plain');
    process.kill(shim.pid, 'SIGSTOP');
    await slot.report('shim-late', ({ late }) => late);
    process.kill(pid, 'SIGTERM');
    expect(await slot.report('exit')).toMatchObject({ pid, status: 143, source: 'state' });
    process.kill(shim.pid, 'SIGCONT');
    await slot.report('shim-late', ({ late }) => !late);
    expect(await slot.run({ kind: 'delete', ...ref })).toMatchObject({ pid, status: 143 });
    expect(exits()).toHaveLength(1);
    await nothingLeft();
  });

  test('leaves a task alone that runs, however often it looks', async () => {
    await open();
    const { pid } = await launchFixtureTask(slot, ref, 'lost-exit');
    const quick = { namespace, task: parseTaskId(uniqueName('quick')) };
    const lost = await launchFixtureTask(slot, quick, 'lost-exit');
    process.kill(lost.pid, 'SIGKILL');
    // By then the first has been looked at as often.
    await slot.report('exit', ({ task }) => task === quick.task);
    expect(exits().filter(({ task }) => task === ref.task)).toEqual([]);
    expect(isAlive(pid)).toBe(true);
    await slot.run({ kind: 'destroy-task', ...ref });
    await slot.run({ kind: 'destroy-task', ...quick });
    await waitFor(async () => (await host.leftovers()).length === 0);
    await nothingLeft();
  });
});
