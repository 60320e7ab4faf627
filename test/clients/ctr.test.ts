import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import type { Finished } from '../helpers/program.ts';
import { busyboxRootfs } from '../helpers/runtimes.ts';
import { TerminalSession } from '../helpers/terminal-session.ts';
import { uniqueName } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { ctrCases, haveCtr } from './lib/ctr-cases.ts';

describe.skipIf(!haveCtr).each(ctrCases)('$title', ({ generation, placement }) => {
  /** Without `info` and `run --user`. */
  const isOldest = generation.version.startsWith('1.6.');
  let daemon: Daemon;
  const sessions: TerminalSession[] = [];
  const made: string[] = [];

  beforeAll(async () => {
    daemon = await Daemon.start({ generation, placement });
  });

  afterEach(async () => {
    for (const session of sessions.splice(0)) await session.close();
    for (const id of made.splice(0)) {
      await ctr('tasks', 'delete', '--force', id);
      await ctr('containers', 'rm', id);
    }
    expect(await daemon.settled({ sharedShims: true })).toEqual(nothingLeft);
  });

  afterAll(() => daemon?.[Symbol.asyncDispose]());

  const ctr = (...args: string[]): Promise<Finished> => daemon.ctr(generation, args);

  /** Runs ctr and answers its output. Throws where it exits with anything but 0. */
  const succeed = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await ctr(...args);
    if (code !== 0) throw new Error(`ctr ${args.join(' ')} exited with ${code}: ${stdout}${stderr}`);
    return stdout;
  };

  const name = (): string => {
    const id = uniqueName('c');
    made.push(id);
    return id;
  };

  const run = (...args: string[]) => ctr('run', '--rm', '--rootfs', ...args);
  const shell = (script: string): string[] => [busyboxRootfs, name(), '/bin/sh', '-c', script];

  /** A container whose task runs. */
  const launch = async (script = 'sleep 3600', ...options: string[]): Promise<string> => {
    const id = name();
    await succeed('run', '-d', ...options, '--rootfs', busyboxRootfs, id, '/bin/sh', '-c', script);
    return id;
  };

  const inTerminal = (...args: string[]): TerminalSession => {
    const { socket, namespace, environment: env } = daemon;
    const all = ['--address', socket, '--namespace', namespace, ...args];
    const session = new TerminalSession({ file: generation.ctr, args: all, env });
    sessions.push(session);
    return session;
  };

  const stopped = (id: string) =>
    waitFor(async () => new RegExp(`${id}\\s+\\d+\\s+STOPPED`).test(await succeed('tasks', 'ls')), {
      every: 100,
      doing: `task ${id} to stop`,
    });

  test('version tells the client and the server', async () => {
    const said = await succeed('version');
    expect(said).toMatch(/Client:\n\s+Version:\s+\d/);
    expect(said).toMatch(/Server:\n\s+Version:\s+\d/);
    expect(said).toMatch(/UUID: [0-9a-f-]{36}/);
  });

  test.skipIf(isOldest)('info tells the uuid of the server', async () => {
    expect(JSON.parse(await succeed('info'))).toMatchObject({ server: { uuid: expect.any(String) } });
  });

  test('plugins ls tells what is served', async () => {
    const plugins = await succeed('plugins', 'ls');
    expect(plugins).toMatch(/io\.containerd\.runtime\.v2\s+task\s+linux\/\S+\s+ok/);
    expect(await succeed('plugins', 'ls', 'id==tasks')).toMatch(/grpc\.v1\s+tasks\s/);
  });

  test('namespaces are made, labelled, listed and removed', async () => {
    const namespace = uniqueName('ns');
    await succeed('namespaces', 'create', namespace, 'colour=green');
    expect(await succeed('namespaces', 'ls')).toMatch(new RegExp(`${namespace}\\s+colour=green`));
    await succeed('namespaces', 'label', namespace, 'colour=', 'size=9');
    expect(await succeed('namespaces', 'ls')).toMatch(new RegExp(`${namespace}\\s+size=9`));
    await succeed('namespaces', 'rm', namespace);
    expect(await succeed('namespaces', 'ls', '-q')).not.toContain(namespace);
  });

  test('a namespace with a container in it is not removed', async () => {
    await succeed('containers', 'create', '--rootfs', busyboxRootfs, name(), '/bin/true');
    const removed = await ctr('namespaces', 'rm', daemon.namespace);
    expect(removed.code).toBe(1);
    expect(removed.stderr).toContain('must be empty');
  });

  test('containers are made, shown, labelled, listed with filters and removed', async () => {
    const id = name();
    await succeed('containers', 'create', '--label', 'a.b=1', '--rootfs', busyboxRootfs, id, '/bin/true');
    const twice = await ctr('containers', 'create', '--rootfs', busyboxRootfs, id, '/bin/true');
    expect(twice.code).toBe(1);
    expect(twice.stderr).toContain('already exists');
    expect(await succeed('containers', 'ls')).toMatch(new RegExp(`${id}\\s+-\\s+io\\.containerd\\.runc\\.v2`));
    await succeed('containers', 'label', id, 'c.d=2', 'a.b=');
    const info: unknown = JSON.parse(await succeed('containers', 'info', id));
    expect(info).toMatchObject({ ID: id, Labels: { 'c.d': '2' }, Runtime: { Name: 'io.containerd.runc.v2' } });
    expect(info).not.toHaveProperty(['Labels', 'a.b']);
    expect((await succeed('containers', 'ls', '-q', 'labels."c.d"==2')).trim()).toBe(id);
    expect((await succeed('containers', 'ls', '-q', 'labels."c.d"==3')).trim()).toBe('');
    await succeed('containers', 'rm', id);
    const gone = await ctr('containers', 'info', id);
    expect(gone.code).toBe(1);
    expect(gone.stderr).toContain('not found');
  });

  test('run --rm prints, exits with the status, and leaves nothing', async () => {
    const result = await run(...shell('echo out; echo err >&2; exit 7'));
    expect(result).toEqual({ code: 7, stdout: 'out\n', stderr: 'err\n' });
    expect(await succeed('tasks', 'ls', '-q')).toBe('');
    expect(await succeed('containers', 'ls', '-q')).toBe('');
  });

  test('run passes standard input and its end', async () => {
    // ctr tells the task of an end that it reads once the task is made; of an earlier one it never does.
    const args = ['run', '--rm', '--rootfs', busyboxRootfs, name(), '/bin/cat'];
    const running = daemon.startCtr(generation, args, { input: 'one\ntwo\n', keepInput: true });
    await waitFor(async () => (await succeed('tasks', 'ls')).includes('RUNNING') && running.stdout.includes('two'));
    running.child.stdin?.end();
    expect(await running.finished).toEqual({ code: 0, stdout: 'one\ntwo\n', stderr: '' });
  });

  test('run takes --cwd, --env, and --user where ctr has it', async () => {
    const asUser = isOldest ? [] : ['--user', '1000:1000'];
    const options = ['--cwd', '/tmp', '--env', 'WORD=hello world', ...asUser];
    const args = [...options, '--rootfs', ...shell('echo "$PWD|$WORD|$(id -u):$(id -g)"')];
    const ids = isOldest ? '0:0' : '1000:1000';
    expect(await ctr('run', '--rm', ...args)).toMatchObject({ code: 0, stdout: `/tmp|hello world|${ids}\n` });
  });

  test('run --memory-limit limits the memory', async () => {
    const id = await launch('sleep 3600', '--memory-limit', String(64 << 20));
    const metrics = await succeed('tasks', 'metrics', id);
    expect(metrics).toMatch(/memory/);
    const result = await ctr('run', '--rm', '--memory-limit', String(16 << 20), '--rootfs', ...shell('tail /dev/zero'));
    expect(result.code).toBe(137);
  });

  test('run --runtime takes the path of a shim', async () => {
    const args = ['--runtime', generation.shim, '--rootfs', ...shell('echo by path; exit 3')];
    expect(await ctr('run', '--rm', ...args)).toMatchObject({ code: 3, stdout: 'by path\n' });
  });

  test('run of a runtime that is not there says so, and leaves nothing', async () => {
    const result = await ctr('run', '--rm', '--runtime', 'io.containerd.nope.v9', '--rootfs', ...shell('true'));
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('containerd-shim-nope-v9');
  });

  test('run of a command that is not there fails with what runc says', async () => {
    const result = await run(busyboxRootfs, name(), '/bin/nope');
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('/bin/nope');
    expect(result.stderr).toContain('no such file or directory');
  });

  test('run -t is a terminal that gets our size and takes input', async () => {
    // ctr sets the size once the task runs; before that stty prints nothing.
    const untilSized = 'until stty size 2>/dev/null | grep .; do sleep 0.05; done';
    const args = ['--rootfs', ...shell(`${untilSized}; read -r x; echo "<$x>"; exit 6`)];
    const session = inTerminal('run', '--rm', '-t', ...args);
    await session.shows('30 100');
    session.terminal.write('word\r');
    expect(await session.ended).toBe(6);
    expect(session.output).toContain('<word>');
  });

  test('create and start are two steps, and start answers output and status', async () => {
    const id = name();
    await succeed('containers', 'create', '--rootfs', busyboxRootfs, id, '/bin/ls', '/etc/passwd', '/nope');
    expect(await ctr('tasks', 'start', id)).toMatchObject({ code: 1, stdout: '/etc/passwd\n' });
  });

  test('ps, exec, metrics, pause and resume work on a running task', async () => {
    const id = await launch();
    expect(await succeed('tasks', 'ls')).toMatch(new RegExp(`${id}\\s+\\d+\\s+RUNNING`));
    expect(await succeed('tasks', 'ps', id)).toMatch(/^PID\s+INFO\n\d+/);
    const inside = await ctr('tasks', 'exec', '--exec-id', 'e1', id, '/bin/sh', '-c', 'echo in; exit 4');
    expect(inside).toMatchObject({ code: 4, stdout: 'in\n' });
    const exec = ['tasks', 'exec', '--exec-id', 'e2', '--cwd', '/tmp', '--user', '1000', id, '/bin/sh', '-c'];
    expect(await ctr(...exec, 'echo "$PWD $(id -u)"')).toMatchObject({ code: 0, stdout: '/tmp 1000\n' });
    await succeed('tasks', 'pause', id);
    expect(await succeed('tasks', 'ls')).toMatch(new RegExp(`${id}\\s+\\d+\\s+PAUSED`));
    await succeed('tasks', 'resume', id);
    expect(await succeed('tasks', 'ls')).toMatch(new RegExp(`${id}\\s+\\d+\\s+RUNNING`));
    expect(await succeed('tasks', 'metrics', id)).toContain(id);
    const json = JSON.parse(await succeed('tasks', 'metrics', '--format', 'json', id)) as object;
    expect(Object.keys(json).length).toBeGreaterThan(0);
  });

  test('kill, and delete answer how a task ended', async () => {
    const id = await launch('trap "exit 9" TERM; while :; do sleep 0.1; done');
    const early = await ctr('tasks', 'delete', id);
    expect(early.code).toBe(1);
    expect(early.stderr).toMatch(/must be stopped|failed precondition/);
    await succeed('tasks', 'kill', '-s', 'SIGTERM', id);
    await stopped(id);
    const late = await ctr('tasks', 'kill', id);
    expect(late.code).toBe(1);
    expect(late.stderr).toContain('not found');
    expect((await ctr('tasks', 'delete', id)).stderr).toMatch(/exit code 9\b/);
    expect((await ctr('tasks', 'delete', id)).stderr).toContain('not found');
  });

  test('delete -f ends and removes a running task', async () => {
    const id = await launch();
    await ctr('tasks', 'delete', '-f', id);
    expect(await succeed('tasks', 'ls', '-q')).not.toContain(id);
  });

  test('attach shows what the task writes from then on, and ends with it', async () => {
    const id = name();
    const first = daemon.startCtr(generation, ['run', '--rootfs', busyboxRootfs, id, '/bin/sh', '-c', counting]);
    await waitFor(() => first.stdout.includes('tick'), { doing: 'the task to write' });
    first.child.kill('SIGKILL');
    await first.finished;
    const second = daemon.startCtr(generation, ['tasks', 'attach', id]);
    await waitFor(() => second.stdout.includes('tick'), { doing: 'attach to show what the task writes' });
    await succeed('tasks', 'kill', '-s', 'SIGKILL', id);
    expect(await second.finished).toMatchObject({ code: 137 });
  });

  test('events tells of everything that happens to a task, in order', async () => {
    const watching = daemon.startCtr(generation, ['events']);
    // It says nothing when it is ready: something happens until it does.
    const probe = uniqueName('ns');
    await waitFor(
      async () => {
        await ctr('namespaces', 'create', probe);
        await ctr('namespaces', 'rm', probe);
        return watching.stdout.includes('/namespaces/');
      },
      { every: 100, doing: 'events to be watched' },
    );
    const id = name();
    await ctr('run', '--rm', '--rootfs', busyboxRootfs, id, '/bin/sh', '-c', 'exit 3');
    await waitFor(() => watching.stdout.includes('/containers/delete'), { doing: 'the last event' });
    watching.child.kill('SIGTERM');
    await watching.finished;
    const lines = watching.stdout.split('\n').filter((line) => line.includes(id));
    const topics = lines.map((line) => /(\/(?:tasks|containers)\/[a-z-]+)/.exec(line)?.[1]);
    expect(topics).toEqual([
      '/containers/create',
      '/tasks/create',
      '/tasks/start',
      '/tasks/exit',
      '/tasks/delete',
      '/containers/delete',
    ]);
    expect(lines.find((line) => line.includes('/tasks/exit'))).toMatch(/"exit_status":3/);
  });

  test('leases are made, listed and removed', async () => {
    const id = uniqueName('lease');
    expect((await succeed('leases', 'create', '--id', id, '--expires', '1h', 'kind=test')).trim()).toBe(id);
    expect(await succeed('leases', 'ls')).toMatch(new RegExp(`${id}\\s+\\S+\\s+.*kind=test`));
    await succeed('leases', 'rm', id);
    expect(await succeed('leases', 'ls', '-q')).not.toContain(id);
  });

  test('images, content and snapshots are refused with what to do instead', async () => {
    const images = await ctr('images', 'ls');
    expect(images.code).toBe(1);
    expect(images.stderr).toContain('shimd keeps no images');
  });

  test('run with a rootfs that is not there fails and leaves nothing', async () => {
    const missing = path.join(daemon.directory, 'missing');
    const result = await run(missing, name(), '/bin/true');
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('no such file or directory');
    expect(existsSync(missing)).toBe(false);
  });

  test('run --mount and --rootfs of a directory of its own let the task write outside', async () => {
    const shared = path.join(daemon.directory, uniqueName('shared'));
    mkdirSync(shared);
    const mount = `type=bind,src=${shared},dst=/mnt,options=rbind:rw`;
    const args = ['--mount', mount, '--rootfs', ...shell('echo written > /mnt/word')];
    expect(await ctr('run', '--rm', ...args)).toMatchObject({ code: 0 });
    expect(existsSync(path.join(shared, 'word'))).toBe(true);
  });
});

const counting = 'while :; do echo tick; sleep 0.1; done';
