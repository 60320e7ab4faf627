import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Daemon, nothingLeft } from '../../helpers/daemon.ts';
import { busyboxRootfs, generations } from '../../helpers/runtimes.ts';
import { busyboxSpec } from '../../helpers/spec.ts';
import { uniqueName } from '../../helpers/test-run.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const newest = generations.at(-1);

describe.skipIf(newest === undefined)('the commands of the client', () => {
  let daemon: Daemon;
  let id: string;

  beforeAll(async () => {
    daemon = await Daemon.start(newest === undefined ? {} : { generation: newest });
  });

  afterEach(async () => {
    expect(await daemon.settled({ sharedShims: true })).toEqual(nothingLeft);
  });

  afterAll(() => daemon?.[Symbol.asyncDispose]());

  const data = async (...args: string[]): Promise<unknown> => {
    const { code, stdout, stderr } = await daemon.shimd([...args, '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return JSON.parse(stdout);
  };

  const start = async (script: string, ...options: string[]): Promise<void> => {
    id = uniqueName('c');
    const args = ['run', '-d', '--id', id, ...options, '--rootfs', busyboxRootfs, '--', '/bin/sh', '-c', script];
    expect(await daemon.shimd(args)).toEqual({ code: 0, stdout: `${id}\n`, stderr: '' });
  };

  test('list, describe and remove a container that has ended', async () => {
    await start('exit 9', '--label', 'a=b');
    expect(await daemon.shimd(['wait', id])).toEqual({ code: 9, stdout: '9\n', stderr: '' });
    expect(await data('ps')).toMatchObject([
      { id, namespace: daemon.namespace, labels: { a: 'b' }, task: { status: 'stopped', exitStatus: 9 } },
    ]);
    expect((await daemon.shimd(['ps'])).stdout).toMatch(new RegExp(`${id} +- +exited \\(9\\) \\d+s ago`));
    expect((await daemon.shimd(['ps', '-q'])).stdout).toBe(`${id}\n`);
    expect(await data('inspect', id)).toMatchObject([
      { id, runtime: 'io.containerd.runc.v2', spec: { process: { cwd: '/' } }, task: { exitStatus: 9 } },
    ]);
    expect(await data('rm', id)).toEqual([{ id, removed: true }]);
    expect(await data('ps')).toEqual([]);
  });

  test('refuse to remove a running container, say how, and do with force', async () => {
    await start('while :; do sleep 0.1; done');
    const refused = await daemon.shimd(['rm', id]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`shimd rm -f ${id}`);
    expect((await daemon.shimd(['rm', '-f', id])).code).toBe(0);
    expect((await daemon.shimd(['rm', '-f', id])).code).toBe(0);
    expect((await daemon.shimd(['rm', id])).stderr).toContain('not found');
  });

  test('do the rest where one of several fails', async () => {
    await start('exit 0');
    await daemon.shimd(['wait', id]);
    const { code, stderr } = await daemon.shimd(['rm', 'nope', id]);
    expect(code).toBe(1);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toContain('"nope"');
    expect(await data('ps')).toEqual([]);
  });

  test('send signals by name and by number, and to execs', async () => {
    await start('trap "exit 3" USR1; while :; do sleep 0.05; done');
    const exec = await daemon.shimd(['exec', '-d', id, 'sleep', '3600']);
    const execId = exec.stdout.trim();
    expect((await daemon.shimd(['kill', '-s', 'KILL', '--exec-id', execId, id])).code).toBe(0);
    expect((await daemon.shimd(['wait', '--exec-id', execId, id])).code).toBe(137);
    await waitFor(async () => {
      await daemon.shimd(['kill', '-s', '10', id]);
      const [line] = (await data('ps')) as [{ task: { status: string } }];
      return line.task.status === 'stopped';
    });
    expect((await daemon.shimd(['wait', id])).code).toBe(3);
    const late = await daemon.shimd(['kill', id]);
    expect(late.code).toBe(1);
    expect((await daemon.shimd(['rm', id])).code).toBe(0);
  });

  test('run commands beside the first, with a status, input and a missing program told apart', async () => {
    await start('while :; do sleep 0.1; done');
    expect(await daemon.shimd(['exec', id, 'sh', '-c', 'cat; exit 4'], { input: 'in\n' })).toEqual({
      code: 4,
      stdout: 'in\n',
      stderr: '',
    });
    expect((await daemon.shimd(['exec', id, 'nope'])).code).toBe(127);
    expect((await daemon.shimd(['exec', id, '/etc'])).code).toBe(126);
    const left = await daemon.shimd(['exec', id, 'sh', '-c', 'echo before; sleep 3600 & exit 5']);
    expect(left).toMatchObject({ code: 5, stdout: 'before\n' });
    expect((await daemon.shimd(['rm', '-f', id])).code).toBe(0);
    expect((await daemon.shimd(['exec', id, 'true'])).code).toBe(125);
  });

  test('show events as they happen', async () => {
    const watching = daemon.startShimd(['events', '--json', '-f', 'topic~=^/tasks/']);
    const topics = () =>
      watching.stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => (JSON.parse(line) as { topic: string }).topic);
    const life = ['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete'];
    try {
      // An event that was before the subscription is not sent again, and it may begin in the middle of a life.
      await waitFor(
        async () => {
          await start('exit 2');
          await daemon.shimd(['wait', id]);
          await daemon.shimd(['rm', id]);
          return life.every((topic) => topics().includes(topic));
        },
        { budget: 30_000, doing: 'a whole life to be shown' },
      );
    } finally {
      watching.child.kill('SIGINT');
    }
    expect((await watching.finished).code).toBe(0);
  });

  test('freeze a task and let it go on', async () => {
    await start('while :; do sleep 0.1; done');
    expect((await daemon.shimd(['pause', id])).code).toBe(0);
    expect(await data('ps')).toMatchObject([{ task: { status: 'paused' } }]);
    expect((await daemon.shimd(['resume', id])).code).toBe(0);
    expect(await data('ps')).toMatchObject([{ task: { status: 'running' } }]);
    expect((await daemon.shimd(['rm', '-f', id])).code).toBe(0);
  });

  test('show shims and slots, and restart a slot without harm', async () => {
    await start('while :; do sleep 0.1; done');
    const [shim] = (await data('shims')) as [{ slot: number; tasks: number; namespace: string }];
    expect(shim).toMatchObject({ tasks: 1, namespace: daemon.namespace });
    expect(await data('slots')).toHaveLength(2);
    const known = { pid: daemon.pid, slots: 2, uuid: expect.stringMatching(/^[0-9a-f-]{36}$/), problems: [] };
    const found = (await data('info')) as { cursor: number; oldestCursor: number; memory: number };
    expect(found).toMatchObject(known);
    expect(found.cursor).toBeGreaterThan(found.oldestCursor);
    expect(found.memory).toBeGreaterThan(10 << 20);
    expect(await daemon.shimd(['info'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^problems {2}none$/m),
    });
    expect((await daemon.shimd(['slots', 'restart', String(shim.slot)])).code).toBe(0);
    await waitFor(async () => {
      const slots = (await data('slots')) as { slot: number; restarts: number }[];
      return slots.find(({ slot }) => slot === shim.slot)?.restarts === 1;
    });
    expect(await data('ps')).toMatchObject([{ id, task: { status: 'running' } }]);
    expect((await daemon.shimd(['rm', '-f', id])).code).toBe(0);
  });

  test('take an OCI bundle', async () => {
    const bundle = path.join(daemon.directory, 'bundle');
    mkdirSync(bundle);
    symlinkSync(busyboxRootfs, path.join(bundle, 'root'));
    const spec = busyboxSpec({
      id: uniqueName('b'),
      args: ['/bin/sh', '-c', 'echo $A; exit 3'],
      env: ['A=1'],
      rootfs: 'root',
    });
    writeFileSync(path.join(bundle, 'config.json'), JSON.stringify(spec));
    expect(await daemon.shimd(['run', '--rm', '--bundle', bundle])).toEqual({ code: 3, stdout: '1\n', stderr: '' });
    const other = await daemon.shimd([
      'run',
      '--rm',
      '--bundle',
      bundle,
      '--env',
      'A=2',
      '--',
      '/bin/sh',
      '-c',
      'echo $A',
    ]);
    expect(other).toEqual({ code: 0, stdout: '2\n', stderr: '' });
  });

  test('refuse an id that is taken and leave its owner alone', async () => {
    await start('while :; do sleep 0.1; done');
    const again = await daemon.shimd(['run', '--rm', '--id', id, '--rootfs', busyboxRootfs, '--', '/bin/true']);
    expect(again).toMatchObject({ code: 125, stdout: '' });
    expect(again.stderr).toContain('already exists');
    expect(await data('ps')).toMatchObject([{ id, task: { status: 'running' } }]);
    expect((await daemon.shimd(['rm', '-f', id])).code).toBe(0);
  });

  test('tell the versions of both sides', async () => {
    expect(await data('version')).toMatchObject({
      client: { version: expect.any(String) },
      server: { address: daemon.socket },
    });
  });
});
