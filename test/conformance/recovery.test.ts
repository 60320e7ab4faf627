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
/** Those that end while a thread is gone, those that are killed once there is another, and those that end while the daemon is gone. */
const [first, killed, second, living] = [ids.slice(0, 20), ids.slice(20, 30), ids.slice(30, 50), ids.slice(50)];
const sorted = (names: string[]): string[] => names.toSorted((one, other) => one.localeCompare(other));

/** A status of its own where it ended by itself, so that no exit can be mistaken for another's. */
function statusOf(id: string): number {
  return first.includes(id) || second.includes(id) ? Number(id.slice(-3)) + 1 : 137;
}

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
      const args = [
        '/bin/sh',
        '-c',
        `trap 'exit ${Number(id.slice(-3)) + 1}' TERM; while :; do sleep 1000 & wait $!; done`,
      ];
      pids.set(id, await launch(daemon, id, { args }));
    });
    // A trap that is not set yet would miss its signal.
    await allTrapping();
  });

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  test('survive a thread and a daemon that are killed, both know how each ended meanwhile, and each exit is told once', async () => {
    await loseThread();
    await loseDaemon();
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  async function loseThread(): Promise<void> {
    const exits = subscribe(daemon, `namespace==${daemon.namespace},topic=="/tasks/exit"`);
    const before = await daemon.client.call(adminDefinition.listSlots, {});
    const [slot] = before.slots.toSorted((one, other) => (other.tasks ?? 0) - (one.tasks ?? 0));
    expect(slot?.tasks ?? 0).toBeGreaterThan(0);
    // Some end while nobody watches them.
    const restarted = daemon.client.call(adminDefinition.restartSlot, { id: slot?.id ?? 0 });
    for (const id of first) process.kill(pids.get(id) ?? 0, 'SIGTERM');
    await restarted;
    await waitFor(
      async () => {
        const { slots } = await daemon.client.call(adminDefinition.listSlots, {});
        return slots.find(({ id }) => id === slot?.id)?.restarts === (slot?.restarts ?? 0) + 1;
      },
      { doing: 'the slot to have a new thread' },
    );
    await waitFor(() => exitsIn(exits.messages).length >= first.length, { doing: 'the exits of 20 tasks' });
    const others = [...killed, ...second, ...living];
    expect(others.filter((id) => !isAlive(pids.get(id) ?? 0))).toEqual([]);
    const states = await waitFor(
      async () => {
        const tasks = await listTasks(daemon);
        const running = tasks.filter((task) => task.status === Status.RUNNING).map(({ id }) => id);
        return running.length === others.length ? tasks : undefined;
      },
      { doing: '80 tasks to be listed as running' },
    );
    expect(states).toHaveLength(ids.length);
    for (const id of first) {
      expect(await getTask(daemon, id)).toMatchObject({ status: Status.STOPPED, exitStatus: statusOf(id) });
    }
    await forEach(killed, 8, async (id) => {
      const waiting = waitTask(daemon, id);
      await killTask(daemon, id);
      expect(await waiting).toMatchObject({ status: 137 });
    });
    // A repeated report would follow the first at once.
    await delay(300);
    expectOneExitEach(exitsIn(exits.messages), [...first, ...killed]);
    exits.cancel();
  }

  /** It comes back, knows all of them and how 20 ended meanwhile. */
  async function loseDaemon(): Promise<void> {
    await daemon.kill();
    for (const id of second) process.kill(pids.get(id) ?? 0, 'SIGTERM');
    await waitFor(() => second.every((id) => !isAlive(pids.get(id) ?? 0)), { doing: '20 tasks to end' });
    expect(living.filter((id) => !isAlive(pids.get(id) ?? 0))).toEqual([]);

    await daemon.start();
    const exits = subscribe(daemon, `namespace==${daemon.namespace},topic=="/tasks/exit"`);
    const tasks = await listTasks(daemon);
    expect(sorted(tasks.map(({ id }) => id ?? ''))).toEqual(ids);
    const ended = [...first, ...killed, ...second];
    for (const task of tasks) {
      const id = task.id ?? '';
      const expected = ended.includes(id)
        ? { pid: pids.get(id), status: Status.STOPPED, exitStatus: statusOf(id) }
        : { pid: pids.get(id), status: Status.RUNNING };
      expect({ id, ...task }).toMatchObject({ id, ...expected });
    }
    // The exits that nobody saw are published now, once; those that were told are not told again.
    await waitFor(() => exitsIn(exits.messages).length >= second.length, { doing: '20 exits to be published' });

    await forEach(living, 8, async (id) => {
      const waiting = waitTask(daemon, id);
      await killTask(daemon, id);
      expect(await waiting).toMatchObject({ status: 137 });
      expect(await deleteTask(daemon, id)).toBe(137);
      await deleteContainer(daemon, id);
    });
    await forEach(ended, 8, async (id) => {
      expect(await waitTask(daemon, id)).toMatchObject({ status: statusOf(id) });
      expect(await deleteTask(daemon, id)).toBe(statusOf(id));
      await deleteContainer(daemon, id);
    });
    expectOneExitEach(exitsIn(exits.messages), [...second, ...living]);
    exits.cancel();
  }

  async function allTrapping(): Promise<void> {
    for (const [id, pid] of pids) {
      // The trap is set before the first `sleep` is started.
      await waitFor(async () => (await childrenOf(pid)) !== '', { doing: `${id} to have set its trap` });
    }
  }

  function expectOneExitEach(exits: ReturnType<typeof exitsIn>, expected: string[]): void {
    expect(sorted(exits.map(({ container }) => container))).toEqual(expected);
    for (const exit of exits) {
      expect(exit).toEqual({
        container: exit.container,
        process: exit.container,
        pid: pids.get(exit.container),
        status: statusOf(exit.container),
      });
    }
  }
});
