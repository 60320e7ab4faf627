import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { adminDefinition, sandboxControllerDefinition as controller } from '../../../src/shared/grpc/index.ts';
import { Daemon, nothingLeft } from '../../helpers/daemon.ts';
import { isAlive } from '../../helpers/leftovers.ts';
import {
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
} from '../../helpers/sandboxes.ts';
import { deleteContainer, deleteTask, endTask, subscribe } from '../../helpers/tasks.ts';
import { waitFor } from '../../helpers/wait-for.ts';
import { topics } from './fixture.ts';

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
