import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { adminDefinition } from '../../src/shared/grpc/index.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { combinations, haveRuntimes, lastInShort } from '../helpers/runtimes.ts';
import { deleteContainer, deleteTask, endTask, forEach, getTask, launch, Status, waitTask } from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { StallingRunc } from './lib/stalling-runc.ts';

const shared = lastInShort(combinations.filter(({ placement }) => placement === 'shared'));
/** As many as are cleaned up at once, made first and so cleaned up first. */
const first = ['task-0', 'task-1', 'task-2', 'task-3'];

describe.skipIf(!haveRuntimes || shared.length === 0).each(shared)(
  'the clean-up after a lost shim with $title',
  ({ generation, placement }) => {
    let daemon: Daemon;

    afterEach(() => daemon?.[Symbol.asyncDispose]());

    test('leaves a task alone that has the id of one that was in it', async () => {
      const runc = new StallingRunc();
      daemon = await Daemon.start({ generation, placement, workers: 1, programs: [runc.directory] });
      for (const id of [...first, 'victim']) await launch(daemon, id);
      const { shims } = await daemon.client.call(adminDefinition.listShims, {});
      expect(shims).toHaveLength(1);
      runc.stall('before', 'delete', path.join(daemon.namespace, 'task-'));
      process.kill(shims[0]?.pid ?? 0, 'SIGKILL');
      await runc.reached('before', 'delete');

      const ended = daemon.shimd(['rm', '-f', 'victim']).then(() => launch(daemon, 'victim'));
      // What ends the victim waits for the clean-up, which waits for us; without that it would be done by now.
      await Promise.race([ended, delay(3000)]);
      runc.release('before', 'delete');
      const pid = await ended;
      await forEach(first, 4, async (id) => {
        expect(await waitTask(daemon, id)).toEqual({ status: 137 });
        await deleteTask(daemon, id);
        await deleteContainer(daemon, id);
      });
      await waitFor(async () => (await daemon.client.call(adminDefinition.listShims, {})).shims.length === 1, {
        doing: 'the lost shim to be cleaned up',
      });
      expect(await getTask(daemon, 'victim')).toMatchObject({ pid, status: Status.RUNNING });
      expect(isAlive(pid)).toBe(true);
      await endTask(daemon, 'victim');
      expect(await daemon.settled()).toEqual(nothingLeft);
    });
  },
);
