import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { adminDefinition } from '../../src/shared/grpc/index.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { combinations, haveRuntimes, lastInShort } from '../helpers/runtimes.ts';
import { deleteContainer, deleteTask, exitsIn, forEach, killTask, launch, waitTask } from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { listen } from './lib/subscription.ts';

const ids = Array.from({ length: 150 }, (_, index) => `task-${index}`);
/** So many programs that only compute keep the shims from running. */
const busy = 20;
/** Looks come often, so that a shim is asked many times while it is behind. */
const config = 'tasks_per_shim = 75\n[shim]\nheartbeat = "500ms"\n';
const shared = lastInShort(combinations.filter(({ placement }) => placement === 'shared'));

describe.skipIf(!haveRuntimes || shared.length === 0).each(shared)(
  '150 tasks in two or three shims, with $title,',
  ({ generation, placement }) => {
    let daemon: Daemon;
    const burning: ChildProcess[] = [];

    afterEach(async () => {
      await Promise.all(
        burning.splice(0).map(async (child) => {
          const ended = once(child, 'exit');
          child.kill('SIGKILL');
          await ended;
        }),
      );
      await daemon?.[Symbol.asyncDispose]();
    }, 120_000);

    test.each(['by calls', 'from outside'])(
      'killed at once on a busy machine %s all end with 137',
      async (how) => {
        daemon = await Daemon.start({ generation, placement, config });
        const events = await listen(daemon);
        const pids = new Map<string, number>();
        await forEach(ids, 8, async (id) => {
          pids.set(id, await launch(daemon, id));
        });
        const { shims } = await daemon.client.call(adminDefinition.listShims, {});
        expect(shims.length).toBeLessThanOrEqual(3);
        for (let index = 0; index < busy; index += 1) {
          burning.push(spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' }));
        }

        const began = performance.now();
        if (how === 'from outside') for (const pid of pids.values()) process.kill(pid, 'SIGKILL');
        // A call that a busy shim does not answer in time has killed all the same.
        else await Promise.all(ids.map((id) => killTask(daemon, id).catch(() => undefined)));
        await waitFor(() => exitsIn(events.messages).length >= ids.length, { doing: 'all exits', budget: 120_000 });
        console.log(`timing: ${ids.length} exits told after ${Math.round(performance.now() - began)} ms, ${how}`);

        for (const id of ids) expect(await waitTask(daemon, id)).toEqual({ status: 137 });
        const told = exitsIn(events.messages);
        expect(told.filter(({ status }) => status !== 137)).toEqual([]);
        expect(new Map(told.map(({ container, pid }) => [container, pid]))).toEqual(pids);
        expect(told).toHaveLength(ids.length);
        expect(daemon.log.filter(({ message }) => message === 'exit found without the shim')).toEqual([]);
        await forEach(ids, 8, async (id) => {
          expect(await deleteTask(daemon, id)).toBe(137);
          await deleteContainer(daemon, id);
        });
        events.cancel();
        expect(await daemon.settled({ budget: 30_000 })).toEqual(nothingLeft);
      },
      300_000,
    );
  },
);
