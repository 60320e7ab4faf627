import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { parseShimId, type TaskRef } from '../../../src/shared/identifiers.ts';
import { taskBundle } from '../../../src/shared/layout.ts';
import { containerd } from '../../../src/shared/proto/gen/task.js';
import { typeUrls } from '../../../src/shared/wire/any.ts';
import { busyboxRootfs, combinations, haveRuntimes, runc } from '../../helpers/runtimes.ts';
import { busyboxSpec } from '../../helpers/spec.ts';
import { waitFor } from '../../helpers/wait-for.ts';
import { namespace, newTask, nowhere, RuncThread, runtime, shared } from './runc-thread.ts';
import { TestSlot } from './worker-slot.ts';

const { Options } = containerd.runc.v1;

describe.skipIf(!haveRuntimes).each(combinations)('$title: a worker thread', (combination) => {
  const thread = new RuncThread(combination);
  const { placement } = combination;

  test('adopts a shim after its thread died, with what ended meanwhile', async () => {
    const [ended, alive] = [newTask(), newTask()];
    await thread.create(ended, ['/bin/sh', '-c', 'while [ ! -e /proc/1/fd/99 ]; do sleep 0.05; done; exit 5']);
    const { pid } = await thread.create(alive, ['/bin/sleep', '1000']);
    const { pid: endedPid } = await thread.slot.run({ kind: 'start', ...ended });
    await thread.slot.run({ kind: 'start', ...alive });
    await thread.slot.terminate();
    process.kill(endedPid, 'SIGKILL');
    const adopter = await TestSlot.open(thread.host.settings());
    try {
      const bundle = (ref: TaskRef) => `${thread.host.directories.state}/test/${ref.task}`;
      const adoptions =
        placement === 'shared'
          ? [
              await adopter.run({
                kind: 'adopt-shim',
                namespace,
                shim: shared,
                mode: 'shared',
                bundle: `${thread.host.directories.state}/test/.shims/${shared}`,
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
      expect(thread.exitsOf(alive, adopter)).toHaveLength(1);
      expect(await adopter.run({ kind: 'delete', ...ended })).toMatchObject({ status: 137 });
      await adopter.run({ kind: 'delete', ...alive });
      await thread.stopShared(adopter);
      expect(await thread.host.leftovers()).toEqual([]);
    } finally {
      await adopter.terminate();
    }
  });

  test('reports the tasks of a killed shim as lost, and removes what they left when it is told to', async () => {
    const refs = [newTask(), newTask()];
    const pids: number[] = [];
    for (const ref of refs) {
      pids.push((await thread.create(ref, ['/bin/sleep', '1000'])).pid);
      await thread.slot.run({ kind: 'start', ...ref });
    }
    const shims = await waitFor(async () => {
      const found = (await thread.host.processes()).filter((line) => line.includes('containerd-shim'));
      return found.length === (placement === 'shared' ? 1 : 2) ? found : undefined;
    });
    for (const line of shims) process.kill(Number.parseInt(line, 10), 'SIGKILL');
    for (const [index, ref] of refs.entries()) {
      const lost = await thread.slot.report('task-lost', (report) => report.task === ref.task);
      expect(lost.exits).toMatchObject([{ pid: pids[index], status: 137, source: 'made-up' }]);
      // It tells of them until they are stored.
      expect(existsSync(taskBundle(thread.host.directories, ref.namespace, ref.task))).toBe(true);
      await thread.slot.run({ kind: 'drop-bundle', ...ref });
    }
    expect(thread.slot.reports.filter((report) => report.kind === 'shim-lost')).toHaveLength(shims.length);
    await waitFor(async () => (await thread.host.leftovers()).length === 0);
  });

  test('unmounts the root file system of a task whose shim was killed, and does not look into it', async () => {
    const ref = newTask();
    const spec = busyboxSpec({ id: ref.task, args: ['/bin/sleep', '1000'], rootfs: 'rootfs' });
    await thread.slot.run({
      kind: 'create-task',
      ...ref,
      choice: await thread.choose(ref),
      spec: Buffer.from(JSON.stringify(spec)),
      rootfs: [{ type: 'bind', source: busyboxRootfs, target: '', options: ['rbind', 'ro'] }],
      stdio: nowhere,
      checkpoint: '',
      runtime,
    });
    expect(await thread.host.mounts()).not.toEqual([]);
    const [shim = ''] = (await thread.host.processes()).filter((line) => line.includes('containerd-shim'));
    process.kill(Number.parseInt(shim, 10), 'SIGKILL');
    await thread.slot.report('task-lost', (report) => report.task === ref.task);
    await thread.slot.run({ kind: 'drop-bundle', ...ref });
    expect(await thread.host.mounts()).toEqual([]);
    await waitFor(async () => (await thread.host.leftovers()).length === 0);
    expect(existsSync(`${busyboxRootfs}/bin/busybox`)).toBe(true);
  });

  test.each([
    ['comes too late', 'sleep 1'],
    ['never ends', 'while :; do sleep 0.2; done'],
  ])('undoes a create that %s, while the other tasks go on', async (_, stall) => {
    const patient = await TestSlot.open(thread.host.settings({ deadlines: { call: 1500 } }));
    try {
      const wrapper = `${thread.host.directory}/stalling-runc`;
      const script = `#!/bin/sh\nfor word; do [ "$word" = create ] && { ${stall}; }; done\nexec ${runc} "$@"\n`;
      await writeFile(wrapper, script, { mode: 0o755 });
      const options = { typeUrl: typeUrls.runcOptions, value: Options.encode({ binaryName: wrapper }).finish() };
      const [ref, other] = [newTask(), newTask()];
      const operation = async (of: TaskRef, deadline: number) => ({
        kind: 'create-task' as const,
        ...of,
        choice: await thread.choose(of, patient),
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
      const left = async () => (await thread.host.leftovers()).filter((file) => file.includes(ref.task));
      await waitFor(async () => (await left()).length === 0);
      // The name is free again.
      await waitFor(async () => patient.run(await operation(ref, Date.now() + 10_000)));
      for (const of of [ref, other]) await patient.run({ kind: 'destroy-task', ...of });
      await thread.stopShared(patient);
      expect(await thread.host.leftovers()).toEqual([]);
    } finally {
      await patient.terminate();
    }
  });

  test('leaves a usable task or nothing where the thread dies in the middle of a create', async () => {
    if (placement === 'shared') await thread.choose(newTask());
    for (const milliseconds of [2, 6, 12, 20, 30, 45, 60, 80]) {
      const ref = newTask();
      const half = thread.create(ref, ['/bin/sleep', '1000']).catch(() => undefined);
      await delay(milliseconds);
      await thread.slot.terminate();
      await half;
      thread.slot = await TestSlot.open(thread.host.settings());
      const own = `${thread.host.directories.state}/test/${ref.task}`;
      const found = existsSync(own);
      const reply = await thread.slot.run({
        kind: 'adopt-shim',
        namespace,
        shim: placement === 'shared' ? shared : parseShimId(ref.task),
        mode: placement,
        bundle: placement === 'shared' ? `${thread.host.directories.state}/test/.shims/${shared}` : own,
        tasks: found ? [ref] : [],
      });
      const [task] = reply.tasks;
      if (task?.kind === 'live') {
        await thread.slot.run({ kind: 'start', ...ref });
        await thread.slot.run({ kind: 'destroy-task', ...ref });
      }
      expect((await thread.host.leftovers()).filter((file) => file.includes(ref.task))).toEqual([]);
    }
    await thread.stopShared();
    expect(await thread.host.leftovers()).toEqual([]);
  });
});
