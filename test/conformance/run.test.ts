import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { busyboxRootfs, haveRuntimes, oneOfEach } from '../helpers/runtimes.ts';
import { uniqueName } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';

const shell = (script: string): string[] => ['--rootfs', busyboxRootfs, '--', '/bin/sh', '-c', script];

describe.skipIf(!haveRuntimes).each(oneOfEach)('shimd run with $title', ({ generation, placement }) => {
  let daemon: Daemon;

  beforeAll(async () => {
    daemon = await Daemon.start({ generation, placement });
  });

  afterAll(() => daemon?.[Symbol.asyncDispose]());

  test('prints what the command prints, exits with its status and leaves nothing', async () => {
    const program = daemon.startShimd(['run', '--rm', ...shell('echo hi; exit 7')]);
    // While it runs or after it: whatever shim socket shows up has to go.
    const sockets = new Set<string>();
    while (program.child.exitCode === null && program.child.signalCode === null) {
      for (const socket of daemon.shimSockets()) sockets.add(socket);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const { code, stdout, stderr } = await program.finished;
    expect({ code, stdout, stderr }).toEqual({ code: 7, stdout: 'hi\n', stderr: '' });
    expect(await daemon.settled()).toEqual(nothingLeft);
    expect([...sockets].filter((socket) => existsSync(socket))).toEqual([]);
  });

  test('passes standard input and keeps stderr apart', async () => {
    const result = await daemon.shimd(['run', '--rm', ...shell('cat; echo problem >&2')], { input: 'one\ntwo\n' });
    expect(result).toEqual({ code: 0, stdout: 'one\ntwo\n', stderr: 'problem\n' });
  });

  test('passes a megabyte of output on without losing a byte', async () => {
    const result = await daemon.shimd([
      'run',
      '--rm',
      ...shell('dd if=/dev/zero bs=1024 count=1024 2>/dev/null | tr "\\0" x'),
    ]);
    expect(result.code).toBe(0);
    expect(result.stdout).toHaveLength(1024 * 1024);
  });

  test('exits with 128 and the signal where a signal ended the command', async () => {
    // A shell that is pid 1 of its namespace is out of reach of its own SIGKILL; the daemon's side is not.
    const id = uniqueName('k');
    const program = daemon.startShimd(['run', '--rm', '--id', id, ...shell('echo up; sleep 3600')]);
    await waitFor(() => program.stdout.includes('up'), { doing: 'the command to run' });
    expect((await daemon.shimd(['kill', '--signal', 'KILL', id])).code).toBe(0);
    expect((await program.finished).code).toBe(137);
  });

  test('forwards SIGTERM to the command', async () => {
    const script = 'trap "echo bye; exit 3" TERM; while :; do echo up; sleep 0.1; done';
    const program = daemon.startShimd(['run', '--rm', ...shell(script)]);
    // The first output can be there before the client knows that the command runs, and a signal until then means to give up.
    await waitFor(() => program.stdout.split('\n').length > 5, { doing: 'the command to run' });
    program.child.kill('SIGTERM');
    expect(await program.finished).toMatchObject({ code: 3, stdout: expect.stringMatching(/^(up\n)+bye\n$/) });
  });

  test('exits with 127 for a command that is not there, and leaves nothing', async () => {
    const result = await daemon.shimd(['run', '--rm', '--rootfs', busyboxRootfs, '--', '/bin/nope']);
    expect(result.code).toBe(127);
    expect(result.stderr.trim().split('\n')).toHaveLength(1);
    expect(result.stderr).toContain('/bin/nope');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('runs a detached task that exec, ps, inspect, kill, wait and rm work on', async () => {
    const id = uniqueName('d');
    const started = await daemon.shimd(['run', '--detach', '--id', id, ...shell('sleep 3600')]);
    expect(started).toEqual({ code: 0, stdout: `${id}\n`, stderr: '' });
    const inside = await daemon.shimd(['exec', id, '--', '/bin/sh', '-c', 'echo in; exit 5']);
    expect(inside).toMatchObject({ code: 5, stdout: 'in\n' });
    const listed = await daemon.shimd(['--json', 'ps']);
    expect(listed.stdout).toContain(id);
    expect((await daemon.shimd(['--json', 'inspect', id])).stdout).toContain(id);
    expect((await daemon.shimd(['kill', '--signal', 'KILL', id])).code).toBe(0);
    expect(await daemon.shimd(['wait', id])).toMatchObject({ code: 137 });
    expect((await daemon.shimd(['rm', id])).code).toBe(0);
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});
