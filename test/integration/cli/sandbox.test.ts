import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Daemon, nothingLeft } from '../../helpers/daemon.ts';

describe('shimd sandbox', () => {
  let daemon: Daemon;
  beforeAll(async () => {
    daemon = await Daemon.start();
  });
  afterAll(() => daemon?.[Symbol.asyncDispose]());

  const shimd = (...args: string[]) => daemon.shimd(args);

  test('runs one with a task in it, lists, stops and removes it', async () => {
    expect(await shimd('sandbox', 'run', 'pod')).toEqual({ code: 0, stdout: 'pod\n', stderr: '' });
    const task = ['--id', 'one', '--runtime', 'io.shimd.process.v1', '--', 'sleep', '3600'];
    expect(await shimd('run', '-d', '--sandbox', 'pod', ...task)).toEqual({ code: 0, stdout: 'one\n', stderr: '' });
    expect((await shimd('sandbox', 'ls')).stdout).toMatch(/^pod +- +SANDBOX_READY +io\.shimd\.process\.v1 /m);
    const listed = await shimd('sandbox', 'ls', '--json');
    expect(JSON.parse(listed.stdout)).toMatchObject([{ id: 'pod', pid: 0, state: 'SANDBOX_READY' }]);
    const shims = JSON.parse((await shimd('shims', '--json')).stdout) as { placement: string; tasks: number }[];
    expect(shims).toMatchObject([{ placement: 'sandbox', tasks: 1 }]);

    const refused = await shimd('sandbox', 'rm', 'pod');
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain("'shimd sandbox stop pod'");
    expect(await shimd('sandbox', 'stop', '--timeout', '5', 'pod')).toEqual({ code: 0, stdout: '', stderr: '' });
    expect((await shimd('wait', 'one')).stdout).toContain('143');
    expect(await shimd('sandbox', 'rm', 'pod')).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await shimd('rm', 'one')).toMatchObject({ code: 0 });
    expect((await shimd('sandbox', 'ls', '-n', daemon.namespace, '--json')).stdout.trim()).toBe('[]');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('says what is wrong with a command line, and what is not there', async () => {
    expect((await shimd('sandbox', 'jump', 'pod')).stderr).toContain("unknown action 'jump'");
    expect((await shimd('sandbox', 'run')).stderr).toContain('name a sandbox');
    const missing = await shimd('sandbox', 'rm', 'nobody');
    expect(missing.code).not.toBe(0);
    expect(missing.stderr).toContain('not found');
    expect(await shimd('sandbox', 'rm', '-f', 'nobody')).toMatchObject({ code: 0 });
    const unknown = await shimd('sandbox', 'run', '--runtime', 'io.example.missing.v1', 'pod');
    expect(unknown.stderr).toContain('not installed');
    expect((await shimd('sandbox', 'ls', '--json')).stdout.trim()).toBe('[]');
  });
});
