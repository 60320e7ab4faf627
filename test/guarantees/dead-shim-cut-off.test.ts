import { existsSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { adminDefinition } from '../../src/shared/grpc/index.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { haveRuntimes } from '../helpers/runtimes.ts';
import {
  addExec,
  deleteContainer,
  deleteTask,
  exitsIn,
  forEach,
  getTask,
  launch,
  Status,
  startTask,
  waitTask,
} from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { newestShared } from './lib/choices.ts';
import { StallingRunc } from './lib/stalling-runc.ts';
import { listen } from './lib/subscription.ts';

const ids = ['held', 'one', 'two', 'three'];

describe.skipIf(!haveRuntimes).each(newestShared)(
  'a shim with many tasks that died with $title',
  ({ generation, placement }) => {
    let daemon: Daemon;

    afterEach(() => daemon?.[Symbol.asyncDispose]());

    test.each(['while the daemon was down', 'while the daemon runs'])(
      '%s loses no exit where the daemon is killed in the middle of cleaning up after it',
      async (moment) => {
        const runc = new StallingRunc();
        daemon = await Daemon.start({ generation, placement, programs: [runc.directory] });
        const pids = new Map<string, number>();
        await forEach(ids, 4, async (id) => {
          pids.set(id, await launch(daemon, id));
        });
        await addExec(daemon, 'one', 'inner', ['sleep', '3600']);
        const inner = await startTask(daemon, 'one', 'inner');
        const { shims } = await daemon.client.call(adminDefinition.listShims, {});
        runc.stall('before', 'delete', 'held');
        if (moment === 'while the daemon was down') await daemon.kill();
        for (const { pid } of shims) process.kill(pid ?? 0, 'SIGKILL');
        await waitFor(() => shims.every(({ pid }) => !isAlive(pid ?? 0)), { doing: 'the shims to be gone' });
        const starting = daemon.running ? undefined : daemon.start().catch(() => undefined);
        await runc.reached('before', 'delete');
        // The others are cleaned up: nothing but their bundles, or the store, tells of them now.
        const others = [...pids.values(), inner].filter((pid) => pid !== pids.get('held'));
        const remains = (id: string) => existsSync(path.join('/run/containerd/runc', daemon.namespace, id));
        await waitFor(() => !others.some(isAlive) && !ids.slice(1).some(remains), {
          doing: 'the other tasks to be ended',
        });
        await daemon.kill();
        await starting;
        runc.release('before', 'delete');
        await daemon.start();

        const events = await listen(daemon);
        await forEach(ids, 4, async (id) => {
          expect(await waitTask(daemon, id)).toEqual({ status: 137 });
          expect(await getTask(daemon, id)).toMatchObject({ pid: pids.get(id), status: Status.STOPPED });
        });
        expect(await waitTask(daemon, 'one', 'inner')).toEqual({ status: 137 });
        await forEach(ids, 4, async (id) => {
          expect(await deleteTask(daemon, id)).toBe(137);
          await deleteContainer(daemon, id);
        });
        const told = exitsIn(events.messages).map(({ container, process: name }) => `${container} ${name}`);
        expect(told.filter((one, index) => told.indexOf(one) !== index)).toEqual([]);
        events.cancel();
        expect(await daemon.settled()).toEqual(nothingLeft);
      },
    );
  },
);
