import { afterEach, describe, expect, test } from 'vitest';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { haveRuntimes, slowCombinations } from '../helpers/runtimes.ts';
import { addExec, endTask, exitsIn, getTask, launch, Status, startTask, waitTask } from '../helpers/tasks.ts';
import { forwardExit, forwardOom } from './lib/forward-exit.ts';
import { listen } from './lib/subscription.ts';

describe.skipIf(!haveRuntimes).each(slowCombinations)(
  'the second task of an id with $title',
  ({ generation, placement }) => {
    let daemon: Daemon;

    afterEach(() => daemon?.[Symbol.asyncDispose]());

    test('is not ended by the exits of the first, which come again and late', async () => {
      daemon = await Daemon.start({ generation, placement });
      // Keeps the shim, where it is shared: both tasks are in one.
      await launch(daemon, 'neighbour');
      const events = await listen(daemon);
      const first = await launch(daemon, 'task');
      await addExec(daemon, 'task', 'exec', ['/bin/sh', '-c', 'exit 3']);
      const firstExec = await startTask(daemon, 'task', 'exec');
      expect(await waitTask(daemon, 'task', 'exec')).toEqual({ status: 3 });
      await endTask(daemon, 'task');

      const second = await launch(daemon, 'task');
      await addExec(daemon, 'task', 'exec', ['sleep', '3600']);
      const secondExec = await startTask(daemon, 'task', 'exec');
      await forwardExit(daemon, { containerId: 'task', id: 'exec', pid: firstExec, exitStatus: 3 });
      await forwardExit(daemon, { containerId: 'task', id: 'task', pid: first, exitStatus: 137 });
      expect(await getTask(daemon, 'task')).toMatchObject({ pid: second, status: Status.RUNNING });
      expect(await getTask(daemon, 'task', 'exec')).toMatchObject({ pid: secondExec, status: Status.RUNNING });
      expect([isAlive(second), isAlive(secondExec)]).toEqual([true, true]);
      await endTask(daemon, 'task');

      const told = exitsIn(events.messages)
        .filter(({ container }) => container === 'task')
        .map(({ process, pid, status }) => `${process} ${pid} ${status}`);
      expect(told.toSorted()).toEqual(
        [`exec ${firstExec} 3`, `task ${first} 137`, `exec ${secondExec} 137`, `task ${second} 137`].toSorted(),
      );
      events.cancel();
      await endTask(daemon, 'neighbour');
      expect(await daemon.settled()).toEqual(nothingLeft);
    });

    test('is not out of memory because the first was, whose event comes late, also after a restart of the daemon', async () => {
      daemon = await Daemon.start({ generation, placement });
      await launch(daemon, 'task');
      const ofFirst = Date.now();
      await endTask(daemon, 'task');
      await launch(daemon, 'task');
      await forwardOom(daemon, 'task', ofFirst);
      await daemon.kill();
      await daemon.start();
      await forwardOom(daemon, 'task', ofFirst);
      await forwardOom(daemon, 'task', Date.now());
      await endTask(daemon, 'task');
      const told = ['--since', 'oldest', '--no-follow', '--json', '-f', 'topic=="/tasks/oom"'];
      const { stdout } = await daemon.shimd(['events', ...told]);
      expect(stdout.trim().split('\n')).toHaveLength(1);
      expect(await daemon.settled()).toEqual(nothingLeft);
    });

    test('and every further one, made at once when the one before it is deleted, has one exit with its own pid', async () => {
      daemon = await Daemon.start({ generation, placement });
      const events = await listen(daemon);
      const pids: number[] = [];
      for (let round = 0; round < 12; round += 1) {
        pids.push(await launch(daemon, 'task'));
        expect(await getTask(daemon, 'task')).toMatchObject({ pid: pids.at(-1), status: Status.RUNNING });
        await endTask(daemon, 'task');
      }
      expect(exitsIn(events.messages).map(({ pid }) => pid)).toEqual(pids);
      events.cancel();
      expect(await daemon.settled()).toEqual(nothingLeft);
    });
  },
);
