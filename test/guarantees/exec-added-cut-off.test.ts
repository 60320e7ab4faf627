import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { adminDefinition } from '../../src/shared/grpc/index.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { haveRuntimes, slowCombinations } from '../helpers/runtimes.ts';
import { addExec, endTask, launch, startTask, waitTask } from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';

/** Each of its threads has stopped; the signal alone leaves them a moment. */
function isStopped(pid: number): boolean {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.every((id) => /\) T /.test(readFileSync(`/proc/${pid}/task/${id}/stat`, 'latin1')));
}

const config = '[deadlines]\nload = "2s"\nstate = "500ms"\ncall = "4s"\n';

describe.skipIf(!haveRuntimes).each(slowCombinations)(
  'an exec that is added to a stopped shim with $title',
  ({ generation, placement }) => {
    let daemon: Daemon;
    let shim = 0;

    afterEach(async () => {
      if (shim > 0 && isAlive(shim)) process.kill(shim, 'SIGCONT');
      await daemon?.[Symbol.asyncDispose]();
    });

    test.each(['its caller gives up', 'the thread is lost', 'the daemon is killed'])(
      'leaves its id to be used again where %s',
      async (fault) => {
        daemon = await Daemon.start({ generation, placement, config, workers: 1 });
        await launch(daemon, 'task');
        const { shims } = await daemon.client.call(adminDefinition.listShims, {});
        shim = shims[0]?.pid ?? 0;
        process.kill(shim, 'SIGSTOP');
        await waitFor(() => isStopped(shim), { every: 2, doing: 'the shim to be stopped' });
        const budget = fault === 'its caller gives up' ? 1000 : 20_000;
        const adding = failureOf(addExec(daemon, 'task', 'inner', ['/bin/sh', '-c', 'exit 3'], { budget }));
        // Calls of one connection come in their order: the exec is with the thread by then.
        if (fault === 'the thread is lost') await daemon.client.call(adminDefinition.restartSlot, { id: 0 });
        if (fault === 'the daemon is killed') await daemon.kill();
        expect(await adding).toMatchObject({ code: expect.stringMatching(/UNAVAILABLE|DEADLINE_EXCEEDED|CANCELLED/) });
        // An answer that is under way when the client gives up comes too late for both.
        const hasFailed = () => daemon.log.some(({ method }) => String(method).endsWith('Tasks/Exec'));
        if (fault === 'its caller gives up') await waitFor(hasFailed, { doing: 'the daemon to give the exec up' });
        process.kill(shim, 'SIGCONT');
        if (fault === 'the daemon is killed') await daemon.start();
        await waitFor(
          async () => {
            const done = await addExec(daemon, 'task', 'inner', ['/bin/sh', '-c', 'exit 4']).then(
              () => 'added',
              (error: unknown) => error,
            );
            return done === 'added';
          },
          { budget: 20_000, every: 100, doing: 'the exec id to be free' },
        );
        await startTask(daemon, 'task', 'inner');
        expect(await waitTask(daemon, 'task', 'inner')).toEqual({ status: 4 });
        await endTask(daemon, 'task');
        expect(await daemon.settled()).toEqual(nothingLeft);
      },
    );
  },
);
