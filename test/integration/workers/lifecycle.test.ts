import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  parseExecId,
  parseNamespace,
  parseShimId,
  parseTaskId,
  type TaskRef,
} from '../../../src/shared/identifiers.ts';
import { sharedShimBundle, taskBundle } from '../../../src/shared/layout.ts';
import type { ShimChoice, Stdio } from '../../../src/shared/messages/index.ts';
import { containerd } from '../../../src/shared/proto/gen/task.js';
import { typeUrls } from '../../../src/shared/wire/any.ts';
import {
  busyboxRootfs,
  combinations,
  type Generation,
  haveRuntimes,
  type Placement,
  runc,
} from '../../helpers/runtimes.ts';
import { busyboxSpec, jsonAny, processSpec } from '../../helpers/spec.ts';
import { uniqueName } from '../../helpers/test-run.ts';
import { waitFor } from '../../helpers/wait-for.ts';
import { TestHost, TestSlot } from './worker-slot.ts';

const nowhere: Stdio = { stdin: '', stdout: '', stderr: '', terminal: false };
const { Options } = containerd.runc.v1;
const runtime = 'io.containerd.runc.v2';

describe.skipIf(!haveRuntimes).each(combinations)('$title: a worker thread', ({ generation, placement }) => {
  let host: TestHost;
  let slot: TestSlot;
  const namespace = parseNamespace('test');

  beforeEach(async () => {
    host = await TestHost.open();
    slot = await TestSlot.open(host.settings());
  });

  afterEach(async () => {
    await slot.terminate();
    try {
      expect(await host.processes()).toEqual([]);
      expect(await host.mounts()).toEqual([]);
    } finally {
      await host.close();
    }
  });

  const shared = parseShimId('shared-1');

  async function choose(ref: TaskRef, on: TestSlot = slot): Promise<ShimChoice> {
    return chooseShim(on, generation, placement, ref);
  }

  async function chooseShim(
    on: TestSlot,
    { shim: binary }: Generation,
    how: Placement,
    ref: TaskRef,
  ): Promise<ShimChoice> {
    if (how === 'per-task') return { kind: 'own', start: { shim: parseShimId(ref.task), binary } };
    try {
      await on.run({ kind: 'start-shim', namespace, start: { shim: shared, binary } });
    } catch (error) {
      if (!String(error).includes('already exists')) throw error;
    }
    return { kind: 'running', shim: shared };
  }

  const newTask = (): TaskRef => ({ namespace, task: parseTaskId(uniqueName('task')) });

  async function create(ref: TaskRef, args: readonly string[], stdio: Stdio = nowhere): Promise<{ pid: number }> {
    const spec = Buffer.from(JSON.stringify(busyboxSpec({ id: ref.task, args })));
    const choice = await choose(ref);
    return slot.run({ kind: 'create-task', ...ref, choice, spec, rootfs: [], stdio, checkpoint: '', runtime });
  }

  async function stopShared(on: TestSlot = slot): Promise<void> {
    const bundle = sharedShimBundle(host.directories, namespace, shared);
    if (placement === 'shared') await on.run({ kind: 'stop-shim', namespace, shim: shared, bundle });
  }

  const exitsOf = (ref: TaskRef, on: TestSlot = slot) =>
    on.reports.filter((report) => report.kind === 'exit' && report.task === ref.task);

  test('runs a task to its end, reports its exit once and leaves nothing', async () => {
    const ref = newTask();
    const { pid } = await create(ref, ['/bin/sh', '-c', 'exit 7']);
    expect(pid).toBeGreaterThan(0);
    expect(await slot.run({ kind: 'start', ...ref })).toEqual({ pid });
    const exit = await slot.report('exit', (report) => report.task === ref.task);
    expect(exit).toMatchObject({ pid, status: 7, source: 'wait' });
    const deleted = await slot.run({ kind: 'delete', ...ref });
    expect(deleted).toEqual({ pid, status: 7, exitedAt: exit.exitedAt });
    await expect(slot.run({ kind: 'delete', ...ref })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await stopShared();
    expect(exitsOf(ref)).toHaveLength(1);
    expect(await host.leftovers()).toEqual([]);
  });

  test('runs an exec beside init and reports both exits', async () => {
    const ref = newTask();
    await create(ref, ['/bin/sleep', '1000']);
    await slot.run({ kind: 'start', ...ref });
    const exec = parseExecId('one');
    const spec = jsonAny(typeUrls.process, processSpec({ args: ['/bin/sh', '-c', 'exit 3'] }));
    await slot.run({ kind: 'exec', ...ref, exec, stdio: nowhere, spec });
    const { pid } = await slot.run({ kind: 'start', ...ref, exec });
    const exit = await slot.report('exit', (report) => report.exec === exec);
    expect(exit).toMatchObject({ pid, status: 3 });
    expect(await slot.run({ kind: 'state', ...ref, exec })).toMatchObject({
      status: 'stopped',
      exec,
      exit: { status: 3 },
    });
    expect(await slot.run({ kind: 'delete', ...ref, exec })).toMatchObject({ pid, status: 3 });
    await slot.run({ kind: 'kill', ...ref, signal: 9, all: true });
    expect(await slot.report('exit', (report) => report.exec === undefined)).toMatchObject({ status: 137 });
    await slot.run({ kind: 'delete', ...ref });
    await stopShared();
    expect(await host.leftovers()).toEqual([]);
  });

  test('leaves nothing of a create that the runtime refuses, and the id works again', async () => {
    const ref = newTask();
    const missing = create(ref, ['/no/such/program']);
    await expect(missing).rejects.toThrow(/no such file|executable file/);
    expect((await host.leftovers()).filter((file) => file.includes(ref.task))).toEqual([]);
    await create(ref, ['/bin/true']);
    await slot.run({ kind: 'start', ...ref });
    await slot.report('exit', (report) => report.task === ref.task);
    await slot.run({ kind: 'delete', ...ref });
    await stopShared();
    expect(exitsOf(ref)).toHaveLength(1);
    expect(await host.leftovers()).toEqual([]);
  });

  test('adopts a shim after its thread died, with what ended meanwhile', async () => {
    const [ended, alive] = [newTask(), newTask()];
    await create(ended, ['/bin/sh', '-c', 'while [ ! -e /proc/1/fd/99 ]; do sleep 0.05; done; exit 5']);
    const { pid } = await create(alive, ['/bin/sleep', '1000']);
    const { pid: endedPid } = await slot.run({ kind: 'start', ...ended });
    await slot.run({ kind: 'start', ...alive });
    await slot.terminate();
    process.kill(endedPid, 'SIGKILL');
    const adopter = await TestSlot.open(host.settings());
    try {
      const bundle = (ref: TaskRef) => `${host.directories.state}/test/${ref.task}`;
      const adoptions =
        placement === 'shared'
          ? [
              await adopter.run({
                kind: 'adopt-shim',
                namespace,
                shim: shared,
                mode: 'shared',
                bundle: `${host.directories.state}/test/.shims/${shared}`,
                tasks: [ended, alive],
              }),
            ]
          : await Promise.all(
              [ended, alive].map((ref) =>
                adopter.run({
                  kind: 'adopt-shim',
                  namespace,
                  shim: parseShimId(ref.task),
                  mode: 'per-task',
                  bundle: bundle(ref),
                  tasks: [ref],
                }),
              ),
            );
      const adopted = adoptions.flatMap((reply) => reply.tasks);
      expect(adopted.map((task) => task.kind)).toEqual(['live', 'live']);
      const [first, second] = adopted.flatMap((task) => (task.kind === 'live' ? task.processes : []));
      expect(second).toMatchObject({ pid, status: 'running' });
      // The shim may have been asked before it noticed.
      const exit = first?.exit ?? (await adopter.report('exit', (report) => report.task === ended.task));
      expect(exit.status).toBe(137);
      await adopter.run({ kind: 'kill', ...alive, signal: 9, all: false });
      await adopter.report('exit', (report) => report.task === alive.task);
      expect(exitsOf(alive, adopter)).toHaveLength(1);
      expect(await adopter.run({ kind: 'delete', ...ended })).toMatchObject({ status: 137 });
      await adopter.run({ kind: 'delete', ...alive });
      await stopShared(adopter);
      expect(await host.leftovers()).toEqual([]);
    } finally {
      await adopter.terminate();
    }
  });

  test('reports the tasks of a killed shim as lost, and removes what they left when it is told to', async () => {
    const refs = [newTask(), newTask()];
    const pids: number[] = [];
    for (const ref of refs) {
      pids.push((await create(ref, ['/bin/sleep', '1000'])).pid);
      await slot.run({ kind: 'start', ...ref });
    }
    const shims = await waitFor(async () => {
      const found = (await host.processes()).filter((line) => line.includes('containerd-shim'));
      return found.length === (placement === 'shared' ? 1 : 2) ? found : undefined;
    });
    for (const line of shims) process.kill(Number.parseInt(line, 10), 'SIGKILL');
    for (const [index, ref] of refs.entries()) {
      const lost = await slot.report('task-lost', (report) => report.task === ref.task);
      expect(lost.exits).toMatchObject([{ pid: pids[index], status: 137, source: 'made-up' }]);
      // It tells of them until they are stored.
      expect(existsSync(taskBundle(host.directories, ref.namespace, ref.task))).toBe(true);
      await slot.run({ kind: 'drop-bundle', ...ref });
    }
    expect(slot.reports.filter((report) => report.kind === 'shim-lost')).toHaveLength(shims.length);
    await waitFor(async () => (await host.leftovers()).length === 0);
  });

  test('unmounts the root file system of a task whose shim was killed, and does not look into it', async () => {
    const ref = newTask();
    const spec = busyboxSpec({ id: ref.task, args: ['/bin/sleep', '1000'], rootfs: 'rootfs' });
    await slot.run({
      kind: 'create-task',
      ...ref,
      choice: await choose(ref),
      spec: Buffer.from(JSON.stringify(spec)),
      rootfs: [{ type: 'bind', source: busyboxRootfs, target: '', options: ['rbind', 'ro'] }],
      stdio: nowhere,
      checkpoint: '',
      runtime,
    });
    expect(await host.mounts()).not.toEqual([]);
    const [shim = ''] = (await host.processes()).filter((line) => line.includes('containerd-shim'));
    process.kill(Number.parseInt(shim, 10), 'SIGKILL');
    await slot.report('task-lost', (report) => report.task === ref.task);
    await slot.run({ kind: 'drop-bundle', ...ref });
    expect(await host.mounts()).toEqual([]);
    await waitFor(async () => (await host.leftovers()).length === 0);
    expect(existsSync(`${busyboxRootfs}/bin/busybox`)).toBe(true);
  });

  test.each([
    ['comes too late', 'sleep 1'],
    ['never ends', 'while :; do sleep 0.2; done'],
  ])('undoes a create that %s, while the other tasks go on', async (_, stall) => {
    const patient = await TestSlot.open(host.settings({ deadlines: { call: 1500 } }));
    try {
      const wrapper = `${host.directory}/stalling-runc`;
      const script = `#!/bin/sh\nfor word; do [ "$word" = create ] && { ${stall}; }; done\nexec ${runc} "$@"\n`;
      await writeFile(wrapper, script, { mode: 0o755 });
      const options = { typeUrl: typeUrls.runcOptions, value: Options.encode({ binaryName: wrapper }).finish() };
      const [ref, other] = [newTask(), newTask()];
      const operation = async (of: TaskRef, deadline: number) => ({
        kind: 'create-task' as const,
        ...of,
        choice: await choose(of, patient),
        spec: Buffer.from(JSON.stringify(busyboxSpec({ id: of.task, args: ['/bin/sleep', '1000'] }))),
        rootfs: [],
        stdio: nowhere,
        checkpoint: '',
        runtime,
        deadline,
      });
      const late = { ...(await operation(ref, Date.now() + 500)), options };
      await expect(patient.run(late)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
      const { pid } = await patient.run(await operation(other, Date.now() + 10_000));
      expect(pid).toBeGreaterThan(0);
      const left = async () => (await host.leftovers()).filter((file) => file.includes(ref.task));
      await waitFor(async () => (await left()).length === 0);
      // The name is free again.
      await waitFor(async () => patient.run(await operation(ref, Date.now() + 10_000)));
      for (const of of [ref, other]) await patient.run({ kind: 'destroy-task', ...of });
      await stopShared(patient);
      expect(await host.leftovers()).toEqual([]);
    } finally {
      await patient.terminate();
    }
  });

  test('starts a failed exec no second time, and deletes it', async () => {
    const ref = newTask();
    await create(ref, ['/bin/sleep', '1000']);
    await slot.run({ kind: 'start', ...ref });
    await expect(slot.run({ kind: 'delete', ...ref })).rejects.toMatchObject({ code: expect.stringMatching(/./) });
    const exec = parseExecId('bad');
    const spec = jsonAny(typeUrls.process, processSpec({ args: ['/no/such/program'] }));
    await slot.run({ kind: 'exec', ...ref, exec, stdio: nowhere, spec });
    await expect(slot.run({ kind: 'start', ...ref, exec })).rejects.toThrow(/no such file|executable file/);
    await expect(slot.run({ kind: 'start', ...ref, exec })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await slot.run({ kind: 'delete', ...ref, exec });
    await expect(slot.run({ kind: 'delete', ...ref, exec })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await slot.run({ kind: 'state', ...ref })).toMatchObject({ status: 'running' });
    await slot.run({ kind: 'destroy-task', ...ref });
    await stopShared();
    expect(exitsOf(ref)).toHaveLength(1);
  });

  test('leaves a usable task or nothing where the thread dies in the middle of a create', async () => {
    if (placement === 'shared') await choose(newTask());
    for (const milliseconds of [2, 6, 12, 20, 30, 45, 60, 80]) {
      const ref = newTask();
      const half = create(ref, ['/bin/sleep', '1000']).catch(() => undefined);
      await delay(milliseconds);
      await slot.terminate();
      await half;
      slot = await TestSlot.open(host.settings());
      const own = `${host.directories.state}/test/${ref.task}`;
      const found = existsSync(own);
      const reply = await slot.run({
        kind: 'adopt-shim',
        namespace,
        shim: placement === 'shared' ? shared : parseShimId(ref.task),
        mode: placement,
        bundle: placement === 'shared' ? `${host.directories.state}/test/.shims/${shared}` : own,
        tasks: found ? [ref] : [],
      });
      const [task] = reply.tasks;
      if (task?.kind === 'live') {
        await slot.run({ kind: 'start', ...ref });
        await slot.run({ kind: 'destroy-task', ...ref });
      }
      expect((await host.leftovers()).filter((file) => file.includes(ref.task))).toEqual([]);
    }
    await stopShared();
    expect(await host.leftovers()).toEqual([]);
  });

  test('destroys a running task', async () => {
    const ref = newTask();
    await create(ref, ['/bin/sleep', '1000']);
    await slot.run({ kind: 'start', ...ref });
    expect(await slot.run({ kind: 'destroy-task', ...ref })).toMatchObject({ exits: [{ status: 137 }] });
    await stopShared();
    expect(await host.leftovers()).toEqual([]);
  });
});
