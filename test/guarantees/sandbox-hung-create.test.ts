import { afterEach, describe, expect, test } from 'vitest';
import { adminDefinition } from '../../src/shared/grpc/index.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { combinations, haveRuntimes } from '../helpers/runtimes.ts';
import { createMember, createSandbox, launchIn, removeSandbox, startSandbox } from '../helpers/sandboxes.ts';
import {
  createTask,
  deleteContainer,
  deleteTask,
  getTask,
  runcRuntime as runtime,
  waitTask,
} from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { StallingRunc } from './lib/stalling-runc.ts';

const config = '[deadlines]\nload = "2s"\nstate = "500ms"\ncleanup = "1s"\nshutdown = "1s"\n';

/** Of Debian's shims only 1.7's has the sandbox service. */
const serving = combinations.filter(
  ({ generation, placement }) => placement === 'per-task' && generation.version.startsWith('1.7.'),
);

describe.skipIf(!haveRuntimes).each(serving)('a sandbox of $title with a create that hangs', ({ generation }) => {
  let daemon: Daemon;
  let shim = 0;

  afterEach(async () => {
    if (shim > 0 && isAlive(shim)) process.kill(shim, 'SIGCONT');
    await daemon?.[Symbol.asyncDispose]();
  });

  test.each(['its shim', 'its runtime'])('in %s can be shut down, and leaves nothing', async (culprit) => {
    const runc = new StallingRunc();
    daemon = await Daemon.start({ generation, config, programs: [runc.directory] });
    await createSandbox(daemon, 'pod', { runtime });
    await startSandbox(daemon, 'pod');
    await launchIn(daemon, 'pod', 'one');
    await createMember(daemon, 'pod', 'hung');
    const { shims } = await daemon.client.call(adminDefinition.listShims, {});
    shim = shims.find(({ id }) => id === 'pod')?.pid ?? 0;
    if (culprit === 'its shim') process.kill(shim, 'SIGSTOP');
    else runc.stall('before', 'create', 'hung');
    const creating = failureOf(createTask(daemon, 'hung'));
    if (culprit === 'its runtime') await runc.reached('before', 'create');
    await waitFor(
      async () => {
        const { slots } = await daemon.client.call(adminDefinition.listSlots, {});
        return slots.some(({ operations }) => (operations ?? 0) > 0);
      },
      { doing: 'the create to be under way' },
    );
    await removeSandbox(daemon, 'pod', { budget: 60_000 });
    expect(await creating).toMatchObject({ code: 'UNAVAILABLE' });
    runc.release('before', 'create');
    await waitFor(() => !isAlive(shim), { doing: 'the shim to be gone' });
    expect(await failureOf(getTask(daemon, 'hung'))).toMatchObject({ code: 'NOT_FOUND' });
    expect(await waitTask(daemon, 'one')).toEqual({ status: 137 });
    expect(await deleteTask(daemon, 'one')).toBe(137);
    for (const id of ['one', 'hung']) await deleteContainer(daemon, id);
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});
