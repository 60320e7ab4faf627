import { afterEach, describe, expect, test } from 'vitest';
import { adminDefinition, tasksDefinition } from '../../src/shared/grpc/index.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { combinations, haveRuntimes } from '../helpers/runtimes.ts';
import { addExec, endTask, getTask, launch, Status, startTask, waitTask } from '../helpers/tasks.ts';
import { StallingRunc } from './lib/stalling-runc.ts';

describe.skipIf(!haveRuntimes).each(combinations)('the start of an exec with $title', ({ generation, placement }) => {
  let daemon: Daemon;

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  test('that is cut off by kill -9 is not repeated, which no shim survives, and the exec can be deleted', async () => {
    const runc = new StallingRunc();
    daemon = await Daemon.start({ generation, placement, programs: [runc.directory] });
    const pid = await launch(daemon, 'task');
    await addExec(daemon, 'task', 'cut', ['/bin/sh', '-c', 'exit 3']);
    runc.stall('before', 'exec', 'task');
    const starting = startTask(daemon, 'task', 'cut').catch(() => undefined);
    await runc.reached('before', 'exec');
    const { shims } = await daemon.client.call(adminDefinition.listShims, {});
    await daemon.kill();
    await starting;
    runc.release('before', 'exec');
    await daemon.start();

    expect(await failureOf(startTask(daemon, 'task', 'cut'))).toMatchObject({
      code: expect.not.stringMatching(/UNAVAILABLE/),
    });
    await daemon.client.call(tasksDefinition.deleteProcess, { containerId: 'task', execId: 'cut' });
    // Its name is free, and the shim lives.
    await addExec(daemon, 'task', 'cut', ['/bin/sh', '-c', 'exit 4']);
    await startTask(daemon, 'task', 'cut');
    expect(await waitTask(daemon, 'task', 'cut')).toEqual({ status: 4 });
    await daemon.client.call(tasksDefinition.deleteProcess, { containerId: 'task', execId: 'cut' });
    expect(await getTask(daemon, 'task')).toMatchObject({ pid, status: Status.RUNNING });
    const after = await daemon.client.call(adminDefinition.listShims, {});
    expect(after.shims.map((shim) => shim.pid)).toEqual(shims.map((shim) => shim.pid));
    await endTask(daemon, 'task');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});
