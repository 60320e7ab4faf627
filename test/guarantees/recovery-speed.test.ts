import { afterEach, describe, expect, test } from 'vitest';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { haveRuntimes } from '../helpers/runtimes.ts';
import {
  deleteContainer,
  deleteTask,
  endTask,
  exitsIn,
  forEach,
  launch,
  listTasks,
  Status,
  subscribe,
} from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { newest } from './lib/choices.ts';
import { endingWith, trapping } from './lib/ending-task.ts';

const ids = Array.from({ length: 300 }, (_, index) => `task-${index}`);
const ending = ids.slice(0, 50);
const statusOf = (id: string): number => (Number(id.slice(5)) % 100) + 1;

describe.skipIf(!haveRuntimes).each(newest)('300 tasks with $title', ({ generation, placement }) => {
  let daemon: Daemon;

  afterEach(() => daemon?.[Symbol.asyncDispose](), 300_000);

  test('of which 50 ended while the daemon was down are all listed truthfully soon after its start, with one exit each', async () => {
    daemon = await Daemon.start({ generation, placement });
    const pids = new Map<string, number>();
    await forEach(ids, 8, async (id) => {
      const options = ending.includes(id) ? { args: endingWith(statusOf(id)) } : {};
      pids.set(id, await launch(daemon, id, options));
    });
    const dying = ending.map((id) => pids.get(id) ?? 0);
    await trapping(...dying);
    await daemon.kill();
    for (const pid of dying) process.kill(pid, 'SIGTERM');
    await waitFor(() => !dying.some(isAlive), { doing: '50 tasks to end' });

    const began = performance.now();
    await daemon.start();
    const tasks = await listTasks(daemon);
    const took = performance.now() - began;
    console.log(`timing: 300 tasks listed ${Math.round(took)} ms after the start of the daemon, ${placement}`);
    // Two seconds on a machine of its own; three hundred shims share the processors with other tests here.
    expect(took).toBeLessThan(20_000);
    const seen = new Map(tasks.map((task) => [task.id, task]));
    for (const id of ids) {
      const expected = ending.includes(id)
        ? { pid: pids.get(id), status: Status.STOPPED, exitStatus: statusOf(id) }
        : { pid: pids.get(id), status: Status.RUNNING };
      expect({ id, task: seen.get(id) }).toMatchObject({ id, task: expected });
    }
    const events = subscribe(daemon, `namespace==${daemon.namespace},topic~=^/tasks/`);
    await waitFor(() => exitsIn(events.messages).length >= ending.length, { doing: '50 exits to be published' });
    await forEach(ending, 8, async (id) => {
      expect(await deleteTask(daemon, id)).toBe(statusOf(id));
      await deleteContainer(daemon, id);
    });
    await forEach(ids.slice(50), 8, (id) => endTask(daemon, id));
    const exits = exitsIn(events.messages);
    expect(exits.map(({ container }) => container).toSorted()).toEqual(ids.toSorted());
    for (const { container, pid, status } of exits) {
      const wanted = ending.includes(container) ? statusOf(container) : 137;
      expect({ container, pid, status }).toEqual({ container, pid: pids.get(container), status: wanted });
    }
    events.cancel();
    expect(await daemon.settled()).toEqual(nothingLeft);
  }, 300_000);
});
