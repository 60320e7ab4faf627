import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { tasksDefinition } from '../../src/shared/grpc/index.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { haveRuntimes, slowCombinations } from '../helpers/runtimes.ts';
import { deleteContainer, deleteTask, endTask, exitsIn, getTask, launch, waitTask } from '../helpers/tasks.ts';
import { makeDirectory } from '../helpers/test-run.ts';
import { endingWith, trapping } from './lib/ending-task.ts';
import { StallingRunc } from './lib/stalling-runc.ts';
import { listen } from './lib/subscription.ts';

describe.skipIf(!haveRuntimes).each(slowCombinations)('a delete with $title', ({ generation, placement }) => {
  let daemon: Daemon;

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  async function ended(id: string, status: number): Promise<void> {
    const pid = await launch(daemon, id, { args: endingWith(status) });
    await trapping(pid);
    process.kill(pid, 'SIGTERM');
    expect(await waitTask(daemon, id)).toEqual({ status });
  }

  test.each(['before', 'after'] as const)(
    'that is cut off by kill -9 %s runc has deleted can be repeated with the same exit, and the shim is gone',
    async (moment) => {
      const runc = new StallingRunc();
      daemon = await Daemon.start({ generation, placement, programs: [runc.directory] });
      await ended('task', 6);
      const sockets = daemon.noteSockets();
      expect(sockets.length).toBeGreaterThan(0);
      runc.stall(moment, 'delete', 'task');
      const deleting = deleteTask(daemon, 'task').catch(() => undefined);
      await runc.reached(moment, 'delete');
      await daemon.kill();
      await deleting;
      runc.release(moment, 'delete');
      await daemon.start();
      const events = await listen(daemon);
      // It may have been finished; what it cannot be is another exit.
      expect(await deleteTask(daemon, 'task')).toBe(6);
      expect(await failureOf(getTask(daemon, 'task'))).toMatchObject({ code: 'NOT_FOUND' });
      expect(await failureOf(deleteTask(daemon, 'task'))).toMatchObject({ code: 'NOT_FOUND' });
      await deleteContainer(daemon, 'task');
      expect(exitsIn(events.messages)).toEqual([]);
      events.cancel();
      expect(await daemon.settled()).toEqual(nothingLeft);
      expect(sockets.filter((socket) => existsSync(socket))).toEqual([]);
    },
  );

  test('that its caller gave up can be repeated with the same exit', async () => {
    const runc = new StallingRunc();
    daemon = await Daemon.start({ generation, placement, programs: [runc.directory] });
    await ended('task', 6);
    runc.stall('before', 'delete', 'task');
    const late = daemon.client.call(tasksDefinition.delete, { containerId: 'task' }, { budget: 700 });
    expect(await failureOf(late)).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    runc.release('before', 'delete');
    expect(await deleteTask(daemon, 'task').catch(() => deleteTask(daemon, 'task'))).toBe(6);
    await deleteContainer(daemon, 'task');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('takes the shim, its socket file, and what somebody mounted in the bundle, but nothing through that mount', async () => {
    daemon = await Daemon.start({ generation, placement });
    await ended('task', 4);
    const sockets = daemon.noteSockets();
    const elsewhere = makeDirectory();
    writeFileSync(path.join(elsewhere, 'precious'), 'kept');
    const point = path.join(daemon.state, daemon.namespace, 'task', 'rootfs', 'volume');
    mkdirSync(point, { recursive: true });
    expect(spawnSync('mount', ['--bind', elsewhere, point]).status).toBe(0);
    // Somebody who works in it makes an ordinary unmount fail with EBUSY.
    const user = spawn('sleep', ['60'], { cwd: point, stdio: 'ignore' });
    try {
      expect(await deleteTask(daemon, 'task')).toBe(4);
      await deleteContainer(daemon, 'task');
      expect(readFileSync(path.join(elsewhere, 'precious'), 'utf8')).toBe('kept');
    } finally {
      user.kill('SIGKILL');
    }
    expect(await daemon.settled()).toEqual(nothingLeft);
    expect(sockets.filter((socket) => existsSync(socket))).toEqual([]);
  });

  test('that is slow for one task changes nothing for another', async () => {
    const runc = new StallingRunc();
    daemon = await Daemon.start({ generation, placement: 'per-task', programs: [runc.directory] });
    await ended('slow', 2);
    const lifecycle = async (id: string): Promise<number> => {
      const began = Date.now();
      await launch(daemon, id);
      await endTask(daemon, id);
      return Date.now() - began;
    };
    const alone = await lifecycle('quick-a');
    runc.stall('before', 'delete', 'slow');
    const deleting = deleteTask(daemon, 'slow');
    await runc.reached('before', 'delete');
    const beside = await lifecycle('quick-b');
    // Twelve seconds would show; a busy machine may double what it took.
    expect(beside).toBeLessThan(Math.max(4 * alone, 3000));
    runc.release('before', 'delete');
    expect(await deleting).toBe(2);
    await deleteContainer(daemon, 'slow');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});
