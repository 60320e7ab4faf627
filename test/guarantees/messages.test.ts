import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import {
  containersDefinition,
  eventsDefinition,
  tasksDefinition,
  versionDefinition,
} from '../../src/shared/grpc/index.ts';
import { typeUrls, wireAny } from '../../src/shared/wire/any.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { fixtureRuntime, fixtureShims } from '../helpers/fixture-shims.ts';
import { combinations, haveRuntimes } from '../helpers/runtimes.ts';
import { processSpec, specAny } from '../helpers/spec.ts';
import { endTask, forEach, getTask, launch, Status } from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { listen } from './lib/subscription.ts';

/** Resident memory of a process, in MB. */
function memoryOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

describe.skipIf(!haveRuntimes).each(combinations)(
  'a message of more than 4 MiB with $title',
  ({ generation, placement }) => {
    let daemon: Daemon;

    afterEach(() => daemon?.[Symbol.asyncDispose]());

    test('to a shim fails its own call and no other', async () => {
      daemon = await Daemon.start({ generation, placement });
      const pid = await launch(daemon, 'task');
      const env = [`LONG=${'x'.repeat(5 << 20)}`];
      const spec = wireAny({
        typeUrl: typeUrls.process,
        value: Buffer.from(JSON.stringify({ ...processSpec({ args: ['true'] }), env })),
      });
      const adding = daemon.client.call(tasksDefinition.exec, { containerId: 'task', execId: 'big', spec });
      expect(await failureOf(adding)).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
      expect(await getTask(daemon, 'task')).toMatchObject({ pid, status: Status.RUNNING });
      const { processes } = await daemon.client.call(tasksDefinition.listPids, { containerId: 'task' });
      expect(processes.map((process) => process.pid)).toContain(pid);
      await endTask(daemon, 'task');
      expect(await daemon.settled()).toEqual(nothingLeft);
    });
  },
);

describe('a daemon', () => {
  let daemon: Daemon;

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  test('that gets an answer of more than 4 MiB from a shim fails that call and no other', async () => {
    daemon = await Daemon.start({ programs: [fixtureShims] });
    const pid = await launch(daemon, 'task', { runtime: fixtureRuntime('oversized') });
    const asking = daemon.client.call(tasksDefinition.listPids, { containerId: 'task' });
    expect(await failureOf(asking)).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(await getTask(daemon, 'task')).toMatchObject({ pid, status: Status.RUNNING });
    await endTask(daemon, 'task');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('with 5,000 containers of 16 kB streams all of them and answers others meanwhile', async () => {
    daemon = await Daemon.start();
    const ids = Array.from({ length: 5000 }, (_, index) => `container-${index}`);
    const spec = specAny({ id: 'x', args: ['true'], more: { annotations: { filler: 'x'.repeat(16_000) } } });
    await forEach(ids, 16, async (id) => {
      await daemon.client.call(containersDefinition.create, { container: { id, runtime: { name: 'io.x.v1' }, spec } });
    });
    const listing = daemon.client.stream(containersDefinition.listStream, {});
    let slowest = 0;
    const state = { over: false };
    listing.ended.finally(() => (state.over = true)).catch(() => undefined);
    while (!state.over) {
      const began = performance.now();
      await daemon.client.call(versionDefinition.version, {});
      slowest = Math.max(slowest, performance.now() - began);
    }
    await listing.ended;
    console.log(`timing: slowest answer beside a list of 5,000 containers ${Math.round(slowest)} ms`);
    expect(listing.messages).toHaveLength(ids.length);
    expect(new Set(listing.messages.map(({ container }) => container?.id))).toEqual(new Set(ids));
    expect(slowest).toBeLessThan(1500);
  }, 300_000);

  test('cuts a subscriber off that does not read, tells it so, and serves the one that does', async () => {
    daemon = await Daemon.start();
    const reading = await listen(daemon);
    // A client whose process is stopped reads nothing, and its socket fills up.
    const stalled = daemon.startShimd(['--json', 'events'], { timeout: 250_000 });
    const event = wireAny({ typeUrl: 'filler', value: new Uint8Array(1024) });
    const publish = (count: number): Promise<void> =>
      forEach(
        Array.from({ length: count }, (_, index) => index),
        32,
        async () => {
          await daemon.client.call(eventsDefinition.publish, { topic: '/tasks/filler', event });
        },
      );
    await waitFor(async () => {
      await publish(1);
      return stalled.stdout.includes('/tasks/filler');
    });
    stalled.child.kill('SIGSTOP');
    // More than its queue and the connection take.
    await publish(12_000);
    const before = memoryOf(daemon.pid);
    await publish(8000);
    const after = memoryOf(daemon.pid);
    console.log(
      `timing: daemon ${Math.round(before)} MB after 12,000 unread events, ${Math.round(after)} MB after 20,000`,
    );
    await waitFor(() => reading.messages.length >= 20_000, { budget: 60_000, doing: 'the reader to have all' });
    expect(after).toBeLessThan(before + 60);
    // It reads at last what was sent before it was cut off, and why it was.
    stalled.child.kill('SIGCONT');
    const { code, stderr } = await stalled.finished;
    expect(stderr).toContain('faster than they are read');
    expect(code).not.toBe(0);
    reading.cancel();
  }, 300_000);
});
