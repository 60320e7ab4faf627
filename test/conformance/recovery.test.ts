import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { adminDefinition } from '../../src/shared/grpc/index.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { combinations, haveRuntimes } from '../helpers/runtimes.ts';
import {
  deleteContainer,
  deleteTask,
  endTask,
  exitsIn,
  forEach,
  getTask,
  killTask,
  launch,
  listTasks,
  Status,
  subscribe,
  waitTask,
} from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';

const ids = Array.from({ length: 100 }, (_, index) => `task-${String(index).padStart(3, '0')}`);
const ending = ids.slice(0, 20);
const living = ids.slice(20);
const sorted = (names: string[]): string[] => names.toSorted((one, other) => one.localeCompare(other));

async function childrenOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.trim();
}

describe.skipIf(!haveRuntimes).each(combinations)('100 tasks with $title', ({ generation, placement }) => {
  let daemon: Daemon;
  let pids: Map<string, number>;

  beforeEach(async () => {
    daemon = await Daemon.start({ generation, placement });
    pids = new Map();
    await forEach(ids, 8, async (id) => {
      // Ends with a status of its own when it is told to, so that no exit can be mistaken for another's.
      const number = Number(id.slice(-3)) % 100;
      const args = ['/bin/sh', '-c', `trap 'exit ${number + 1}' TERM; while :; do sleep 1000 & wait $!; done`];
      pids.set(id, await launch(daemon, id, { args }));
    });
  });

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  test('outlive a killed daemon, which comes back and knows all of them and how 20 ended meanwhile', async () => {
    // A trap that is not set yet would miss its signal.
    await allTrapping();
    await daemon.kill();
    for (const id of ending) process.kill(pids.get(id) ?? 0, 'SIGTERM');
    await waitFor(() => ending.every((id) => !isAlive(pids.get(id) ?? 0)), { doing: '20 tasks to end' });
    expect(living.filter((id) => !isAlive(pids.get(id) ?? 0))).toEqual([]);

    await daemon.start();
    const exits = subscribe(daemon, `namespace==${daemon.namespace},topic=="/tasks/exit"`);
    const tasks = await listTasks(daemon);
    expect(sorted(tasks.map(({ id }) => id ?? ''))).toEqual(ids);
    for (const task of tasks) {
      const id = task.id ?? '';
      const expected = ending.includes(id)
        ? { pid: pids.get(id), status: Status.STOPPED, exitStatus: Number(id.slice(-3)) + 1 }
        : { pid: pids.get(id), status: Status.RUNNING };
      expect({ id, ...task }).toMatchObject({ id, ...expected });
    }
    // The exits that nobody saw are published now, once.
    await waitFor(() => exitsIn(exits.messages).length >= ending.length, { doing: '20 exits to be published' });

    await forEach(living, 8, async (id) => {
      const waiting = waitTask(daemon, id);
      await killTask(daemon, id);
      expect(await waiting).toMatchObject({ status: 137 });
      expect(await deleteTask(daemon, id)).toBe(137);
      await deleteContainer(daemon, id);
    });
    await forEach(ending, 8, async (id) => {
      expect(await waitTask(daemon, id)).toMatchObject({ status: Number(id.slice(-3)) + 1 });
      expect(await deleteTask(daemon, id)).toBe(Number(id.slice(-3)) + 1);
      await deleteContainer(daemon, id);
    });
    expectOneExitEach(exitsIn(exits.messages));
    exits.cancel();
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('survive a thread that is killed in their middle, and each exit is reported once', async () => {
    await allTrapping();
    const exits = subscribe(daemon, `namespace==${daemon.namespace},topic=="/tasks/exit"`);
    const before = await daemon.client.call(adminDefinition.listSlots, {});
    const [slot] = before.slots.toSorted((one, other) => (other.tasks ?? 0) - (one.tasks ?? 0));
    expect(slot?.tasks ?? 0).toBeGreaterThan(0);
    // Some end while nobody watches them.
    const restarted = daemon.client.call(adminDefinition.restartSlot, { id: slot?.id ?? 0 });
    for (const id of ending) process.kill(pids.get(id) ?? 0, 'SIGTERM');
    await restarted;
    await waitFor(
      async () => {
        const { slots } = await daemon.client.call(adminDefinition.listSlots, {});
        return slots.find(({ id }) => id === slot?.id)?.restarts === (slot?.restarts ?? 0) + 1;
      },
      { doing: 'the slot to have a new thread' },
    );
    await waitFor(() => exitsIn(exits.messages).length >= ending.length, { doing: 'the exits of 20 tasks' });
    expect(living.filter((id) => !isAlive(pids.get(id) ?? 0))).toEqual([]);
    const states = await waitFor(
      async () => {
        const tasks = await listTasks(daemon);
        const running = tasks.filter((task) => task.status === Status.RUNNING).map(({ id }) => id);
        return running.length === living.length ? tasks : undefined;
      },
      { doing: '80 tasks to be listed as running' },
    );
    expect(states).toHaveLength(ids.length);
    for (const id of ending) {
      expect(await getTask(daemon, id)).toMatchObject({ status: Status.STOPPED, exitStatus: Number(id.slice(-3)) + 1 });
    }
    await forEach(living, 8, (id) => endTask(daemon, id));
    await forEach(ending, 8, async (id) => {
      await deleteTask(daemon, id);
      await deleteContainer(daemon, id);
    });
    // A repeated report would follow the first at once.
    await delay(300);
    expectOneExitEach(exitsIn(exits.messages));
    exits.cancel();
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  async function allTrapping(): Promise<void> {
    for (const [id, pid] of pids) {
      // The trap is set before the first `sleep` is started.
      await waitFor(async () => (await childrenOf(pid)) !== '', { doing: `${id} to have set its trap` });
    }
  }

  function expectOneExitEach(exits: ReturnType<typeof exitsIn>): void {
    expect(sorted(exits.map(({ container }) => container))).toEqual(ids);
    for (const exit of exits) {
      const own = Number(exit.container.slice(-3)) + 1;
      expect(exit).toEqual({
        container: exit.container,
        process: exit.container,
        pid: pids.get(exit.container),
        status: ending.includes(exit.container) ? own : 137,
      });
    }
  }
});
