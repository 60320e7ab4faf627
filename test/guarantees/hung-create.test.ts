import { afterEach, describe, expect, test } from 'vitest';
import { adminDefinition } from '../../src/shared/grpc/index.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { combinations, haveRuntimes, lastInShort } from '../helpers/runtimes.ts';
import {
  addExec,
  createContainer,
  createTask,
  deleteContainer,
  deleteTask,
  endTask,
  exitsIn,
  getTask,
  launch,
  Status,
  startTask,
  waitTask,
} from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { listen } from './lib/subscription.ts';

const config =
  '[shim]\nheartbeat = "500ms"\n[deadlines]\nload = "2s"\nstate = "500ms"\ncall = "2s"\ncleanup = "2s"\nshutdown = "1s"\n';

const shared = lastInShort(combinations.filter(({ placement }) => placement === 'shared'));

describe.skipIf(!haveRuntimes).each(shared)('a create in a stopped shared shim with $title', ({ generation }) => {
  let daemon: Daemon;
  let shim = 0;

  afterEach(async () => {
    if (shim > 0 && isAlive(shim)) process.kill(shim, 'SIGCONT');
    await daemon?.[Symbol.asyncDispose]();
  });

  /** Waits until the create is given up for good, which is when its id is refused for what the shim may still do. */
  async function untilHeld(): Promise<void> {
    await waitFor(
      async () => {
        const failure = await failureOf(createTask(daemon, 'hung', { budget: 1000 }));
        return failure.code === 'UNAVAILABLE' && /still runs/.test(failure.message);
      },
      { budget: 30_000, doing: 'the id to be held' },
    );
  }

  /** A neighbour in the shim, which is stopped then, and a create that its caller gave up. */
  async function hang(exec?: string): Promise<number> {
    daemon = await Daemon.start({ generation, placement: 'shared', config });
    const neighbour = await launch(daemon, 'neighbour');
    if (exec !== undefined) {
      await addExec(daemon, 'neighbour', exec, ['sleep', '3600']);
      await startTask(daemon, 'neighbour', exec);
    }
    await createContainer(daemon, 'hung');
    const { shims } = await daemon.client.call(adminDefinition.listShims, {});
    expect(shims).toHaveLength(1);
    shim = shims[0]?.pid ?? 0;
    process.kill(shim, 'SIGSTOP');
    expect(await failureOf(createTask(daemon, 'hung', { budget: 1000 }))).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await untilHeld();
    return neighbour;
  }

  const untilFree = () =>
    waitFor(async () => (await createTask(daemon, 'hung').catch(() => 0)) > 0, {
      budget: 30_000,
      every: 100,
      doing: 'the id to be free',
    });

  test('harms no neighbour; its id is free when the shim has forgotten it, also by the next daemon and thread', async () => {
    const neighbour = await hang();
    await daemon.kill();
    await daemon.start();
    await untilHeld();
    await daemon.client.call(adminDefinition.restartSlot, { id: 0 });
    await daemon.client.call(adminDefinition.restartSlot, { id: 1 });
    await untilHeld();
    // Now the shim makes the task that nobody wants any more.
    process.kill(shim, 'SIGCONT');
    await untilFree();
    const pid = await startTask(daemon, 'hung');
    expect(await getTask(daemon, 'neighbour')).toMatchObject({ pid: neighbour, status: Status.RUNNING });
    await addExec(daemon, 'hung', 'proof', ['/bin/sh', '-c', 'exit 4']);
    await startTask(daemon, 'hung', 'proof');
    expect(await waitTask(daemon, 'hung', 'proof')).toEqual({ status: 4 });
    expect([pid, neighbour].filter(isAlive)).toEqual([pid, neighbour]);
    await endTask(daemon, 'hung');
    await endTask(daemon, 'neighbour');
    await waitFor(() => !isAlive(shim), { doing: 'the shim to end with its last task' });
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('ends the shim with the last of its tasks that lives, and then its id is free', async () => {
    const neighbour = await hang();
    process.kill(neighbour, 'SIGKILL');
    await waitFor(() => !isAlive(shim), { budget: 20_000, doing: 'the shim to be ended' });
    expect(await waitTask(daemon, 'neighbour')).toEqual({ status: 137 });
    await untilFree();
    await startTask(daemon, 'hung');
    await endTask(daemon, 'hung');
    expect(await deleteTask(daemon, 'neighbour')).toBe(137);
    await deleteContainer(daemon, 'neighbour');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('and that dies before the next daemon had an answer of it ends its tasks with one exit each', async () => {
    const neighbour = await hang('inner');
    await daemon.kill();
    await daemon.start();
    const events = await listen(daemon);
    expect([neighbour].filter(isAlive)).toEqual([neighbour]);
    process.kill(shim, 'SIGKILL');
    expect(await waitTask(daemon, 'neighbour')).toEqual({ status: 137 });
    expect(isAlive(neighbour)).toBe(false);
    await untilFree();
    await startTask(daemon, 'hung');
    await endTask(daemon, 'hung');
    expect(await deleteTask(daemon, 'neighbour')).toBe(137);
    await deleteContainer(daemon, 'neighbour');
    const exits = exitsIn(events.messages).filter(({ container }) => container === 'neighbour');
    // Of the exec the daemon knew from the bundle alone.
    expect(exits.map(({ process: name, status }) => `${name} ${status}`).toSorted()).toEqual([
      'inner 137',
      'neighbour 137',
    ]);
    events.cancel();
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});
