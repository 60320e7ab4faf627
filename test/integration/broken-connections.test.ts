import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { adminDefinition, tasksDefinition } from '../../src/shared/grpc/index.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { fixtureRuntime, fixtureShims } from '../helpers/fixture-shims.ts';
import { createSandbox, removeSandbox, sandboxStatus, startSandbox, waitSandbox } from '../helpers/sandboxes.ts';
import { addExec, endTask, getTask, launch, Status, startTask, waitTask } from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';

describe('a shim that closes the connection in place of its answer', () => {
  let daemon: Daemon;

  beforeAll(async () => {
    // A heartbeat that is too late to be what finds anything.
    daemon = await Daemon.start({ programs: [fixtureShims], config: '[shim]\nheartbeat = "10m"\n' });
  });

  afterAll(() => daemon?.[Symbol.asyncDispose]());

  test('to a start is asked what became of it, and the end of what it started is told', async () => {
    const pid = await launch(daemon, 'task', { runtime: fixtureRuntime('broken-start') });
    await addExec(daemon, 'task', 'inner', ['unused']);
    expect(await failureOf(startTask(daemon, 'task', 'inner'))).toMatchObject({ code: 'UNAVAILABLE' });
    const inner = await waitFor(
      async () => {
        const found = await getTask(daemon, 'task', 'inner');
        return found.status === Status.RUNNING ? found : undefined;
      },
      { doing: 'the exec to be known to run' },
    );
    expect(inner.pid).toBeGreaterThan(0);
    const told = waitTask(daemon, 'task', 'inner');
    process.kill(inner.pid ?? 0, 'SIGKILL');
    expect(await told).toEqual({ status: 137 });
    await daemon.client.call(tasksDefinition.deleteProcess, { containerId: 'task', execId: 'inner' });
    expect(await getTask(daemon, 'task')).toMatchObject({ pid, status: Status.RUNNING });
    await endTask(daemon, 'task');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('and has forgotten an exec when it is adopted again leaves nobody waiting for that', async () => {
    await launch(daemon, 'forgetful', { runtime: fixtureRuntime('broken-start') });
    await addExec(daemon, 'forgetful', 'inner', ['unused']);
    const waiting = failureOf(waitTask(daemon, 'forgetful', 'inner'));
    const bundle = path.join(daemon.state, daemon.namespace, 'forgetful');
    writeFileSync(path.join(bundle, 'forget'), '');
    for (const id of [0, 1]) await daemon.client.call(adminDefinition.restartSlot, { id });
    expect(await waiting).toMatchObject({ code: 'NOT_FOUND' });
    rmSync(path.join(bundle, 'forget'));
    await endTask(daemon, 'forgetful');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('to the start of its sandbox is asked what became of it, and the end of the sandbox is told', async () => {
    await createSandbox(daemon, 'pod', { runtime: fixtureRuntime('sandbox'), annotations: { cut: 'StartSandbox' } });
    expect(await failureOf(startSandbox(daemon, 'pod'))).toMatchObject({ code: 'UNAVAILABLE' });
    const { pid } = await sandboxStatus(daemon, 'pod');
    const told = waitSandbox(daemon, 'pod');
    process.kill(pid, 'SIGKILL');
    expect(await told).toBe(137);
    await removeSandbox(daemon, 'pod');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});
