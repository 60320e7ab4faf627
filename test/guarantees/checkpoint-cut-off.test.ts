import { cpSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { tasksDefinition } from '../../src/shared/grpc/index.ts';
import { codeOf } from '../helpers/api-client.ts';
import { checkpoint, criuPrograms, fromImage } from '../helpers/checkpoints.ts';
import { counter, numbersIn, untilCounted } from '../helpers/counter.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { processesNaming } from '../helpers/leftovers.ts';
import { criuDirectory, haveRuntimes, slowCombinations } from '../helpers/runtimes.ts';
import {
  createTask,
  deleteTask,
  getTask,
  killTask,
  launch,
  rootfs,
  Status,
  startTask,
  waitTask,
} from '../helpers/tasks.ts';
import { makeDirectory } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { StallingRunc } from './lib/stalling-runc.ts';

const moments = ['before', 'during', 'after'] as const;

/** Kills the daemon at a moment of a runc command. */
async function cutOff(
  daemon: Daemon,
  stalling: StallingRunc,
  moment: (typeof moments)[number],
  command: 'checkpoint' | 'restore',
  begin: () => Promise<unknown>,
): Promise<void> {
  if (moment !== 'during') stalling.stall(moment, command, 'counter');
  const call = begin().catch(() => undefined);
  if (moment === 'during') {
    // Found or over: which of the two it is depends on the machine.
    const over = { yet: false };
    call.then(() => (over.yet = true)).catch(() => undefined);
    const runsCriu = () => processesNaming(daemon.namespace).some(({ command: line }) => line.includes('swrk'));
    await waitFor(() => over.yet || runsCriu(), { every: 1, doing: 'criu to run' });
  } else await stalling.reached(moment, command);
  await daemon.kill();
  await call;
  if (moment !== 'during') stalling.release(moment, command);
  await daemon.start();
}

/** A task that runs counts and ends as it is told to; in the end nothing is left. */
async function expectUsable(daemon: Daemon, log: string): Promise<void> {
  const status = await getTask(daemon, 'counter').then((task) => task.status, codeOf);
  expect([Status.RUNNING, Status.STOPPED, Status.PAUSED, 'NOT_FOUND']).toContain(status);
  if (status === Status.PAUSED) await daemon.client.call(tasksDefinition.resume, { containerId: 'counter' });
  if (status === Status.RUNNING || status === Status.PAUSED) {
    await untilCounted(log, (numbersIn(log).at(-1) ?? 0) + 3);
    await killTask(daemon, 'counter');
  }
  const ended = status === 'NOT_FOUND' ? 137 : (await waitTask(daemon, 'counter')).status;
  expect(ended).toBe(137);
  if (status !== 'NOT_FOUND') await deleteTask(daemon, 'counter');
  await daemon.shimd(['rm', '-f', 'counter']);
  expect(await daemon.settled({ sharedShims: true })).toEqual(nothingLeft);
}

describe.skipIf(!haveRuntimes || criuDirectory === undefined).each(slowCombinations)(
  'with $title',
  ({ generation, placement }) => {
    async function setUp() {
      const stalling = new StallingRunc();
      const daemon = await Daemon.start({ generation, placement, programs: [stalling.directory, ...criuPrograms] });
      const [log, image] = [path.join(makeDirectory(), 'log'), path.join(makeDirectory(), 'image')];
      const uri = pathToFileURL(log).href;
      const stdio = { stdout: uri, stderr: uri };
      // Of its own: what goes wrong must not go through the root file system of all tests.
      const own = path.join(makeDirectory(), 'rootfs');
      cpSync(rootfs, own, { recursive: true, verbatimSymlinks: true });
      await launch(daemon, 'counter', { args: counter, rootfs: own, task: stdio });
      await untilCounted(log, 3);
      return { stalling, daemon, log, image, stdio, own };
    }

    test.each(moments.flatMap((moment) => [false, true].map((exit) => [moment, exit] as const)))(
      'a checkpoint that is cut off by kill -9 %s it runs, ending the task: %s, leaves a task that can be used',
      async (moment, exit) => {
        const { stalling, daemon: started, log, image } = await setUp();
        await using daemon = started;
        await cutOff(daemon, stalling, moment, 'checkpoint', () => checkpoint(daemon, 'counter', image, exit));
        await expectUsable(daemon, log);
      },
    );

    test.each(moments)(
      'a restore that is cut off by kill -9 %s it runs leaves a task that can be used, or none, and can be repeated',
      async (moment) => {
        const { stalling, daemon: started, log, image, stdio, own } = await setUp();
        await using daemon = started;
        await checkpoint(daemon, 'counter', image, true);
        await waitTask(daemon, 'counter');
        await deleteTask(daemon, 'counter');
        await createTask(daemon, 'counter', { ...stdio, options: fromImage(image) });
        await cutOff(daemon, stalling, moment, 'restore', () => startTask(daemon, 'counter'));
        const found = await getTask(daemon, 'counter').then(({ status }) => status, codeOf);
        if (found === 'NOT_FOUND') {
          await createTask(daemon, 'counter', { ...stdio, options: fromImage(image) });
          await startTask(daemon, 'counter');
        }
        expect(await getTask(daemon, 'counter')).toMatchObject({ status: Status.RUNNING });
        await expectUsable(daemon, log);
        // A restore that is killed leaves its root file system mounted where runc removes everything.
        expect(readdirSync(own).toSorted()).toEqual(readdirSync(rootfs).toSorted());
      },
    );
  },
);
