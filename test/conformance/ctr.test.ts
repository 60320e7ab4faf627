import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { busyboxRootfs, generations, haveRuntimes, oneOfEach } from '../helpers/runtimes.ts';
import { uniqueName } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';

describe.skipIf(!haveRuntimes).each(oneOfEach)('$title', ({ generation, placement }) => {
  let daemon: Daemon;

  beforeAll(async () => {
    daemon = await Daemon.start({ generation, placement });
  });

  afterAll(() => daemon?.[Symbol.asyncDispose]());

  // Each daemon is driven by every generation's ctr: clients and shims are not upgraded together.
  const clients = (haveRuntimes ? generations : [generation]).map((client) => ({ client, version: client.version }));

  describe.each(clients)('with ctr $version', ({ client }) => {
    const ctr = (...args: string[]) => daemon.ctr(client, args);

    test('ctr run --rm --rootfs prints, exits with the status and removes everything', async () => {
      const id = uniqueName('c');
      const result = await ctr('run', '--rm', '--rootfs', busyboxRootfs, id, '/bin/sh', '-c', 'echo hi; exit 7');
      expect(result).toMatchObject({ code: 7, stdout: 'hi\n' });
      expect((await ctr('tasks', 'ls', '-q')).stdout).toBe('');
      expect((await ctr('containers', 'ls', '-q')).stdout).toBe('');
      expect(daemon.leftovers().mounts).toEqual([]);
    });

    test('ctr run -d --rootfs leaves a task that every other command works on', async () => {
      const id = uniqueName('c');
      expect(await ctr('run', '-d', '--rootfs', busyboxRootfs, id, '/bin/sleep', '3600')).toMatchObject({ code: 0 });
      expect((await ctr('tasks', 'ls')).stdout).toMatch(new RegExp(`${id}\\s+\\d+\\s+RUNNING`));
      const inside = await ctr('tasks', 'exec', '--exec-id', uniqueName('e'), id, '/bin/sh', '-c', 'echo in; exit 4');
      expect(inside).toMatchObject({ code: 4, stdout: 'in\n' });
      expect((await ctr('containers', 'info', id)).stdout).toContain(id);
      expect(await ctr('tasks', 'kill', '-s', 'SIGKILL', id)).toMatchObject({ code: 0 });
      await waitFor(async () => (await ctr('tasks', 'ls')).stdout.includes('STOPPED'), {
        every: 100,
        doing: 'the task to stop',
      });
      const removed = await ctr('tasks', 'rm', id);
      // ctr makes the task's status its own and says so.
      expect([0, 1, 137]).toContain(removed.code);
      expect((await ctr('tasks', 'ls', '-q')).stdout).toBe('');
      expect(await ctr('containers', 'rm', id)).toMatchObject({ code: 0 });
      expect((await ctr('containers', 'ls', '-q')).stdout).toBe('');
      expect(await daemon.settled()).toEqual(nothingLeft);
    });
  });
});
