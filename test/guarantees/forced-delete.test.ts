import { afterEach, describe, expect, test } from 'vitest';
import { adminDefinition } from '../../src/shared/grpc/index.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { combinations, haveRuntimes } from '../helpers/runtimes.ts';
import {
  createContainer,
  createTask,
  deleteContainer,
  deleteTask,
  endTask,
  exitsIn,
  getTask,
  launch,
  Status,
  waitTask,
} from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { endingWith, trapping } from './lib/ending-task.ts';
import { listen } from './lib/subscription.ts';

const config =
  '[shim]\nheartbeat = "500ms"\n[deadlines]\nload = "2s"\nstate = "500ms"\ncall = "3s"\ncleanup = "2s"\nshutdown = "1s"\n';

const shared = combinations.filter(({ placement }) => placement === 'shared');

describe.skipIf(!haveRuntimes).each(shared)(
  'a forced delete in a stopped shared shim with $title',
  ({ generation }) => {
    let daemon: Daemon;
    let shim = 0;

    afterEach(async () => {
      if (shim > 0 && isAlive(shim)) process.kill(shim, 'SIGCONT');
      await daemon?.[Symbol.asyncDispose]();
    });

    async function shims(): Promise<number[]> {
      const answer = await daemon.client.call(adminDefinition.listShims, {});
      return answer.shims.map(({ pid }) => pid ?? 0);
    }

    /** Three tasks in one shim, which is stopped then; the two that are left trap SIGTERM. */
    async function stopAmongThree(): Promise<{ one: number; two: number }> {
      daemon = await Daemon.start({ generation, placement: 'shared', config });
      await launch(daemon, 'forced');
      const one = await launch(daemon, 'one', { args: endingWith(5) });
      const two = await launch(daemon, 'two', { args: endingWith(6) });
      await trapping(one, two);
      const [only, ...more] = await shims();
      expect(more).toEqual([]);
      shim = only ?? 0;
      process.kill(shim, 'SIGSTOP');
      return { one, two };
    }

    const force = (id: string) =>
      daemon.client.call(adminDefinition.deleteTask, { containerId: id, force: true }, { budget: 30_000 });

    test('harms no neighbour; their ends are told with their own status, once, and with the last goes the shim', async () => {
      const { one, two } = await stopAmongThree();
      const events = await listen(daemon);
      await force('forced');
      await deleteContainer(daemon, 'forced');
      expect([one, two].filter(isAlive)).toEqual([one, two]);
      // What waits in the shim's socket would hit a new task of the id; a new one of another id gets another shim.
      await createContainer(daemon, 'forced');
      expect(await failureOf(createTask(daemon, 'forced'))).toMatchObject({ code: 'UNAVAILABLE' });
      await launch(daemon, 'later');
      expect(await shims()).toHaveLength(2);

      process.kill(one, 'SIGTERM');
      expect(await waitTask(daemon, 'one')).toEqual({ status: 5 });
      expect(isAlive(shim)).toBe(true);
      expect(isAlive(two)).toBe(true);
      process.kill(two, 'SIGTERM');
      expect(await waitTask(daemon, 'two')).toEqual({ status: 6 });
      await waitFor(() => !isAlive(shim), { doing: 'the shim to be ended', budget: 20_000 });

      expect(await waitFor(() => deleteTask(daemon, 'one').catch(() => undefined))).toBe(5);
      expect(await waitFor(() => deleteTask(daemon, 'two').catch(() => undefined))).toBe(6);
      for (const id of ['one', 'two']) await deleteContainer(daemon, id);
      // The id is free with the end of the shim.
      await waitFor(() => createTask(daemon, 'forced').catch(() => undefined), { doing: 'the id to be free' });
      await force('forced');
      await deleteContainer(daemon, 'forced');
      await endTask(daemon, 'later');
      const ends = exitsIn(events.messages).map(({ container, status }) => `${container} ${status}`);
      expect(ends.filter((end) => /^(one|two) /.test(end))).toEqual(['one 5', 'two 6']);
      expect(ends.filter((end) => end.startsWith('forced '))).toEqual(['forced 137', 'forced 137']);
      events.cancel();
      expect(await daemon.settled()).toEqual(nothingLeft);
    });

    test('is made good by a shim that comes to itself: it forgets the task and keeps the others to their end', async () => {
      const { one, two } = await stopAmongThree();
      const events = await listen(daemon);
      await force('forced');
      process.kill(shim, 'SIGCONT');
      await waitFor(() => createTask(daemon, 'forced').catch(() => undefined), { doing: 'the id to be free' });
      await force('forced');
      await deleteContainer(daemon, 'forced');
      for (const [id, pid, status] of [
        ['one', one, 5],
        ['two', two, 6],
      ] as const) {
        expect(await getTask(daemon, id)).toMatchObject({ pid, status: Status.RUNNING });
        process.kill(pid, 'SIGTERM');
        expect(await waitTask(daemon, id)).toEqual({ status });
        expect(await deleteTask(daemon, id)).toBe(status);
        await deleteContainer(daemon, id);
      }
      expect(exitsIn(events.messages).filter(({ container }) => container !== 'forced')).toHaveLength(2);
      events.cancel();
      await waitFor(() => !isAlive(shim), { doing: 'the shim to end with its last task' });
      expect(await daemon.settled()).toEqual(nothingLeft);
    });

    test('of all its tasks ends it, also where it never answered since the daemon was started', async () => {
      await stopAmongThree();
      await daemon.kill();
      await daemon.start();
      for (const id of ['forced', 'one', 'two']) {
        await force(id);
        await deleteContainer(daemon, id);
      }
      await waitFor(() => !isAlive(shim), { doing: 'the shim to be ended', budget: 20_000 });
      expect(await daemon.settled()).toEqual(nothingLeft);
    });
  },
);
