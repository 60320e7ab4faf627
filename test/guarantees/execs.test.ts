import { afterEach, describe, expect, test } from 'vitest';
import { tasksDefinition } from '../../src/shared/grpc/index.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { combinations, haveRuntimes } from '../helpers/runtimes.ts';
import { addExec, endTask, exitsIn, forEach, launch, startTask, waitTask } from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { newest } from './lib/choices.ts';
import { listen } from './lib/subscription.ts';
import { topicsOf } from './lib/task-topics.ts';

function statusOf(index: number): number {
  return index % 200;
}

async function expectExecs(daemon: Daemon, count: number): Promise<void> {
  await launch(daemon, 'task');
  const events = await listen(daemon);
  const indexes = Array.from({ length: count }, (_, index) => index);
  await forEach(indexes, 16, async (index) => {
    const exec = `exec-${index}`;
    await addExec(daemon, 'task', exec, ['/bin/sh', '-c', `exit ${statusOf(index)}`]);
    await startTask(daemon, 'task', exec);
    expect(await waitTask(daemon, 'task', exec)).toEqual({ status: statusOf(index) });
    await daemon.client.call(tasksDefinition.deleteProcess, { containerId: 'task', execId: exec });
  });
  await endTask(daemon, 'task');
  await waitFor(() => topicsOf(events.messages, 'task').some(({ topic, exec }) => topic === 'delete' && exec === ''), {
    doing: "the task's delete to be published",
  });
  const byExec = new Map<string, string[]>();
  for (const { topic, exec } of topicsOf(events.messages, 'task')) {
    byExec.set(exec, [...(byExec.get(exec) ?? []), topic]);
  }
  byExec.delete('');
  expect(byExec.size).toBe(count);
  for (const [exec, topics] of byExec) {
    const known = topics.filter((topic) => topic !== 'delete');
    expect({ exec, known }).toEqual({ exec, known: ['exec-added', 'exec-started', 'exit'] });
  }
  const exits = exitsIn(events.messages).filter(({ process }) => process !== 'task');
  expect(exits).toHaveLength(count);
  for (const { process, pid, status } of exits) {
    expect({ process, status }).toEqual({ process, status: statusOf(Number(process.slice(5))) });
    expect(pid).toBeGreaterThan(0);
  }
  events.cancel();
  expect(await daemon.settled()).toEqual(nothingLeft);
}

describe.skipIf(!haveRuntimes).each(combinations)('execs with $title', ({ generation, placement }) => {
  let daemon: Daemon;

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  test('that end at once, 100 of them, each have one exit, after their start, with their own status', async () => {
    daemon = await Daemon.start({ generation, placement });
    await expectExecs(daemon, 100);
  });
});

describe.skipIf(!haveRuntimes).each(newest)('execs with $title', ({ generation, placement }) => {
  let daemon: Daemon;

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  test('that end at once, 1,000 of them, each have one exit, after their start, with their own status', async () => {
    daemon = await Daemon.start({ generation, placement });
    await expectExecs(daemon, 1000);
  });

  test('in parallel, 50 in one task, are not one after the other', async () => {
    daemon = await Daemon.start({ generation, placement });
    await launch(daemon, 'task');
    const execs = Array.from({ length: 50 }, (_, index) => `exec-${index}`);
    for (const exec of execs) await addExec(daemon, 'task', exec, ['/bin/sh', '-c', 'sleep 0.5; exit 3']);
    const one = performance.now();
    await startTask(daemon, 'task', 'exec-0');
    await waitTask(daemon, 'task', 'exec-0');
    const single = performance.now() - one;
    const began = performance.now();
    await forEach(execs.slice(1), 49, async (exec) => {
      await startTask(daemon, 'task', exec);
      expect(await waitTask(daemon, 'task', exec)).toEqual({ status: 3 });
    });
    const took = performance.now() - began;
    console.log(`timing: 1 exec of half a second ${Math.round(single)} ms, 49 at once ${Math.round(took)} ms`);
    // One after the other they would take 25 seconds and more; a machine of its own takes less than three.
    expect(took).toBeLessThan(12_000);
    await forEach(execs, 8, async (exec) => {
      await daemon.client.call(tasksDefinition.deleteProcess, { containerId: 'task', execId: exec });
    });
    await endTask(daemon, 'task');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});
