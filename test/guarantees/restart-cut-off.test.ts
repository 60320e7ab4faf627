import { cpSync, renameSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { haveRuntimes, slowCombinations } from '../helpers/runtimes.ts';
import { countOf, launchService, nextPid, quick } from '../helpers/services.ts';
import { getTask, rootfs, Status } from '../helpers/tasks.ts';
import { makeDirectory } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { StallingRunc } from './lib/stalling-runc.ts';

const moments = [
  ['before', 'create'],
  ['after', 'create'],
  ['before', 'start'],
  ['after', 'start'],
  ['before', 'delete'],
] as const;

describe.skipIf(!haveRuntimes).each(slowCombinations)('a restart on $title', ({ generation, placement }) => {
  test.each(moments)(
    'that is cut off by kill -9 %s runc %s is finished by the next daemon',
    async (moment, command) => {
      const stalling = new StallingRunc();
      const options = { generation, placement, config: quick, programs: [stalling.directory] };
      await using daemon = await Daemon.start(options);
      const first = await launchService(daemon, 'web');
      stalling.stall(moment, command, 'web');
      process.kill(first, 'SIGKILL');
      await stalling.reached(moment, command);
      await daemon.kill();
      stalling.release(moment, command);
      await daemon.start();
      const second = await nextPid(daemon, 'web', first);
      // What was begun was counted once. The program may have been running already where only its start was cut off.
      expect(await countOf(daemon, 'web')).toBe(1);
      process.kill(second, 'SIGKILL');
      await nextPid(daemon, 'web', second);
      expect(await countOf(daemon, 'web')).toBe(2);
      await daemon.shimd(['rm', '-f', 'web']);
      expect(await daemon.settled({ sharedShims: true, budget: 20_000 })).toEqual(nothingLeft);
    },
  );

  test('that hangs holds up no other service', async () => {
    const stalling = new StallingRunc();
    await using daemon = await Daemon.start({ generation, placement, config: quick, programs: [stalling.directory] });
    const hanging = await launchService(daemon, 'hanging');
    const other = await launchService(daemon, 'other');
    stalling.stall('before', 'delete', 'hanging');
    process.kill(hanging, 'SIGKILL');
    await stalling.reached('before', 'delete');
    process.kill(other, 'SIGKILL');
    await nextPid(daemon, 'other', other);
    expect(await getTask(daemon, 'hanging')).toMatchObject({ pid: hanging, status: Status.STOPPED });
    stalling.release('before', 'delete');
    await nextPid(daemon, 'hanging', hanging);
  });

  test('whose create fails leaves nothing, says why, and is tried again', async () => {
    await using daemon = await Daemon.start({ generation, placement, config: quick });
    const own = path.join(makeDirectory(), 'rootfs');
    cpSync(rootfs, own, { recursive: true, verbatimSymlinks: true });
    const pid = await launchService(daemon, 'web', { rootfs: own });
    renameSync(own, `${own}.away`);
    process.kill(pid, 'SIGKILL');
    await waitFor(async () => (await countOf(daemon, 'web')) >= 3, { budget: 30_000, doing: 'three tries' });
    const [inspected] = JSON.parse((await daemon.shimd(['inspect', '--json', 'web'])).stdout) as [object];
    expect(inspected).toMatchObject({ restart: { policy: 'always', error: expect.stringMatching(/rootfs/) } });
    renameSync(`${own}.away`, own);
    await nextPid(daemon, 'web', pid);
    await daemon.shimd(['rm', '-f', 'web']);
    expect(await daemon.settled({ sharedShims: true })).toEqual(nothingLeft);
  });
});
