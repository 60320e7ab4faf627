import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { binaryName, ignoreIsolationAnnotation } from '../../src/process-shim/about.ts';
import { Containerd, containerdOf } from '../helpers/containerd.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { buildDirectory } from '../helpers/program.ts';
import { generations } from '../helpers/runtimes.ts';
import { uniqueName } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';

const generation = generations.findLast((candidate) => containerdOf(candidate) !== undefined);

/** ctr's spec asks for a container; the embedded runtime is told to run it without one. */
const runtime = ['--runtime', path.join(buildDirectory, 'bin', binaryName)];
const asked = [...runtime, '--annotation', `${ignoreIsolationAnnotation}=true`, '--rootfs', '/'];

describe.skipIf(generation === undefined)(
  `containerd ${generation?.version ?? ''} drives the embedded runtime's shim`,
  () => {
    let containerd: Containerd;

    beforeAll(async () => {
      if (generation) containerd = await Containerd.start(generation);
    });

    afterAll(() => containerd?.[Symbol.asyncDispose]());

    test('ctr run --rm prints what the program prints, exits with its status and leaves nothing', async () => {
      const id = uniqueName('c');
      const result = await containerd.ctr(['run', '--rm', ...asked, id, '/bin/sh', '-c', 'echo hi; exit 7']);
      expect(result).toMatchObject({ code: 7, stdout: 'hi\n' });
      expect((await containerd.ctr(['containers', 'ls', '-q'])).stdout).toBe('');
      expect(await containerd.settled()).toEqual([]);
    });

    test('a spec that asks for isolation is refused in words that tell what to do, and leaves nothing', async () => {
      const args = ['run', '--rm', ...runtime, '--rootfs', '/', uniqueName('c'), '/bin/true'];
      const { code, stderr } = await containerd.ctr(args);
      expect(code).not.toBe(0);
      expect(stderr).toContain('isolates nothing');
      expect(stderr).toContain(ignoreIsolationAnnotation);
      expect(await containerd.settled()).toEqual([]);
    });

    test('ctr run -d leaves a task that exec, ps, pause, kill and rm work on', async () => {
      const id = uniqueName('c');
      const statusOf = async (): Promise<string | undefined> => {
        const { stdout } = await containerd.ctr(['tasks', 'ls']);
        return new RegExp(`^${id}\\s+\\d+\\s+(\\w+)`, 'm').exec(stdout)?.[1];
      };
      const pidFile = path.join(containerd.directory, `${id}.pid`);
      expect(
        await containerd.ctr(['run', '-d', '--pid-file', pidFile, ...asked, id, '/bin/sleep', '3600']),
      ).toMatchObject({
        code: 0,
      });
      const pid = Number(readFileSync(pidFile, 'utf8'));
      expect(isAlive(pid)).toBe(true);
      expect(containerd.shimSockets().filter((socket) => existsSync(socket))).toHaveLength(1);
      expect(await statusOf()).toBe('RUNNING');

      const exec = ['tasks', 'exec', '--exec-id', uniqueName('e'), id, '/bin/sh', '-c', 'echo in; exit 4'];
      expect(await containerd.ctr(exec)).toMatchObject({ code: 4, stdout: 'in\n' });
      expect((await containerd.ctr(['tasks', 'ps', id])).stdout).toMatch(new RegExp(`^${pid}\\b`, 'm'));
      expect(await containerd.ctr(['tasks', 'metrics', id])).toMatchObject({ code: 0 });
      expect(await containerd.ctr(['tasks', 'pause', id])).toMatchObject({ code: 0 });
      expect(await statusOf()).toBe('PAUSED');
      expect(await containerd.ctr(['tasks', 'resume', id])).toMatchObject({ code: 0 });
      expect(await statusOf()).toBe('RUNNING');

      expect(await containerd.ctr(['tasks', 'kill', '-s', 'SIGKILL', id])).toMatchObject({ code: 0 });
      await waitFor(async () => (await statusOf()) === 'STOPPED', { every: 100, doing: 'the task to stop' });
      expect(isAlive(pid)).toBe(false);
      // ctr says the task's status, and some generations exit with it.
      const removed = await containerd.ctr(['tasks', 'rm', id]);
      expect([0, 137]).toContain(removed.code);
      expect(removed.stderr).toContain('137');
      expect(await containerd.ctr(['containers', 'rm', id])).toMatchObject({ code: 0 });
      expect(await containerd.settled()).toEqual([]);
    });
  },
);
