import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { combinations, haveRuntimes } from '../helpers/runtimes.ts';
import { deleteContainer, deleteTask, exitsIn, launch, subscribe } from '../helpers/tasks.ts';
import { cgroupParent, uniqueName } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';

/** As long as an exit waits for an out-of-memory event where nobody knows whether there is one to come, in milliseconds. */
const hold = 300;
/** A busy machine may be late a few times. */
const tries = 20;
/** Keeps more and more in memory, without a new process. */
const greedy = ['sh', '-c', 'x=xxxxxxxx; while :; do x=$x$x; done'];

describe.skipIf(!haveRuntimes).each(combinations)('a task with $title', ({ generation, placement }) => {
  let daemon: Daemon;

  beforeAll(async () => {
    daemon = await Daemon.start({ generation, placement });
  });

  afterAll(() => daemon?.[Symbol.asyncDispose]());

  test('that the kernel kills for want of memory has that event before its exit', async () => {
    const id = uniqueName('greedy');
    const events = subscribe(daemon, `namespace==${daemon.namespace},topic~=^/tasks/`);
    const linux = {
      cgroupsPath: `${cgroupParent}/${daemon.namespace}/${id}`,
      namespaces: [{ type: 'pid' }, { type: 'ipc' }, { type: 'uts' }, { type: 'mount' }],
      resources: { memory: { limit: 32 * 2 ** 20 } },
    };
    await launch(daemon, id, { args: greedy, more: { linux } });
    await waitFor(() => exitsIn(events.messages).length > 0, { doing: 'the exit', budget: 60_000 });
    expect(exitsIn(events.messages)).toMatchObject([{ container: id, status: 137 }]);
    const topics = events.messages.map(({ topic }) => topic);
    expect(topics).toContain('/tasks/oom');
    expect(topics.indexOf('/tasks/oom')).toBeLessThan(topics.indexOf('/tasks/exit'));
    expect(await deleteTask(daemon, id)).toBe(137);
    await deleteContainer(daemon, id);
    events.cancel();
    expect(await daemon.settled({ sharedShims: true })).toEqual(nothingLeft);
  });

  test('that is killed from outside is told without waiting for such an event', async () => {
    const events = subscribe(daemon, `namespace==${daemon.namespace},topic~=^/tasks/`);
    const times: number[] = [];
    for (let turn = 0; turn < tries && !times.some((time) => time < hold); turn += 1) {
      const id = uniqueName('task');
      const pid = await launch(daemon, id);
      await waitFor(() => events.messages.some(({ topic }) => topic === '/tasks/start'), { doing: 'the subscription' });
      const began = performance.now();
      process.kill(pid, 'SIGKILL');
      await waitFor(() => exitsIn(events.messages).some(({ container }) => container === id), {
        doing: 'the exit',
        every: 2,
      });
      times.push(performance.now() - began);
      expect(await deleteTask(daemon, id)).toBe(137);
      await deleteContainer(daemon, id);
    }
    console.log(`timing: a kill from outside was told after ${times.map(Math.round).join(', ')} ms`);
    expect(Math.min(...times)).toBeLessThan(hold);
    events.cancel();
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});
