import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { TerminalSession } from '../helpers/terminal-session.ts';
import { uniqueName } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { DockerEngine, image } from './lib/docker-engine.ts';
import { engineCases, haveEngine } from './lib/engine-cases.ts';

const none = ['--network', 'none'];

describe.skipIf(!haveEngine).each(engineCases)('docker run with $name and $shim', ({ generation }) => {
  let daemon: Daemon;
  let engine: DockerEngine;
  const sessions: TerminalSession[] = [];

  beforeAll(async () => {
    daemon = await Daemon.start({ generation });
    engine = await DockerEngine.start(daemon);
  });

  afterEach(async () => {
    for (const session of sessions.splice(0)) await session.close();
    await engine.removeContainers();
    expect(await engine.settled()).toEqual(nothingLeft);
  });

  afterAll(async () => {
    await engine?.[Symbol.asyncDispose]();
    await daemon?.[Symbol.asyncDispose]();
  });

  const run = (...args: string[]) => engine.docker(['run', '--rm', ...none, ...args]);
  const shell = (script: string): string[] => [image, 'sh', '-c', script];
  const open = (...args: string[]): TerminalSession => {
    const session = new TerminalSession(engine.command(...args));
    sessions.push(session);
    return session;
  };

  test('prints what the command prints, on both streams', async () => {
    expect(await run(...shell('echo out; echo err >&2'))).toEqual({ code: 0, stdout: 'out\n', stderr: 'err\n' });
  });

  test.each([0, 3, 125, 126, 127, 137])('exits with the status %i of its command', async (status) => {
    expect(await run(...shell(`exit ${status}`))).toMatchObject({ code: status });
  });

  test('exits with 127 for a command that is not there, and leaves nothing', async () => {
    const result = await run(image, '/bin/nope');
    expect(result.code).toBe(127);
    expect(result.stderr).toContain('/bin/nope');
  });

  test('exits with 126 for a file that cannot be executed', async () => {
    const result = await run(image, '/etc/passwd');
    expect(result.code).toBe(126);
    expect(result.stderr).toContain('permission denied');
  });

  test('exits with 125 where Docker refuses', async () => {
    expect((await run('--memory', '1k', image, 'true')).code).toBe(125);
  });

  test('exits with 137 where it is killed', async () => {
    const name = uniqueName('c');
    const running = engine.startDocker(['run', '--rm', ...none, '--name', name, ...shell('echo up; sleep 3600')]);
    await waitFor(() => running.stdout.includes('up'), { doing: 'the command to run' });
    await engine.succeed('kill', name);
    expect(await running.finished).toMatchObject({ code: 137 });
  });

  test('passes SIGTERM on to the command', async () => {
    const script = 'trap "echo bye; exit 9" TERM; echo up; while :; do sleep 0.1; done';
    const running = engine.startDocker(['run', '--rm', ...none, ...shell(script)]);
    await waitFor(() => running.stdout.includes('up'), { doing: 'the command to run' });
    running.child.kill('SIGTERM');
    expect(await running.finished).toMatchObject({ code: 9, stdout: 'up\nbye\n' });
  });

  test('-i passes standard input, and its end', async () => {
    const args = ['run', '--rm', '-i', ...none, image, 'cat'];
    const input = `${'x'.repeat(100_000)}\nend\n`;
    expect(await engine.docker(args, { input })).toEqual({ code: 0, stdout: input, stderr: '' });
  });

  test('-t gives the command a terminal', async () => {
    expect(await run('-t', ...shell('[ -t 1 ] && tty'))).toMatchObject({ code: 0, stdout: '/dev/pts/0\r\n' });
  });

  test('-it is a terminal that takes input and changes its size', async () => {
    const session = open('run', '--rm', '-it', ...none, ...shell('echo up; read -r x; echo "<$x>"; stty size; exit 4'));
    await session.shows('up');
    session.terminal.resize(77, 22);
    // The client passes the size on by itself, some time after the signal.
    await waitFor(async () => (await engine.succeed('ps', '--quiet')) !== '');
    session.terminal.write('word\r');
    expect(await session.ended).toBe(4);
    expect(session.output).toContain('<word>');
    expect(session.output).toMatch(/\d+ \d+/);
  });

  test('-d answers the id of a container that runs, and wait its status', async () => {
    const id = await engine.succeed('run', '-d', ...none, ...shell('sleep 1; exit 6'));
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(await engine.succeed('ps', '--quiet', '--no-trunc')).toBe(id);
    expect(await engine.succeed('wait', id)).toBe('6');
    expect(await engine.inspect(id, '.State.Status')).toBe('exited');
    expect(await engine.inspect(id, '.State.ExitCode')).toBe('6');
  });

  test('--env, --workdir, --user and --hostname reach the command', async () => {
    const options = ['--env', 'WORD=hello world', '--workdir', '/tmp', '--user', '1000:1000', '--hostname', 'box'];
    const result = await run(...options, ...shell('echo "$WORD|$PWD|$(id -u)|$(hostname)"'));
    expect(result).toMatchObject({ code: 0, stdout: 'hello world|/tmp|1000|box\n' });
  });

  test('--init puts a process between that reaps orphans and passes on signals', async () => {
    const result = await run('--init', ...shell('cat /proc/1/comm; echo $$'));
    expect(result.code).toBe(0);
    expect(result.stdout).toMatch(/^docker-init\n[2-9]\d*\n$/);
  });

  test('--pid host sees the processes of the host, --pid container:NAME those of another container', async () => {
    const host = await run('--pid', 'host', ...shell(`[ -d /proc/${process.pid} ] && echo seen`));
    expect(host).toMatchObject({ code: 0, stdout: 'seen\n' });
    await engine.succeed('run', '-d', ...none, '--name', 'other', image, 'sleep', '4321');
    const joined = await run('--pid', 'container:other', ...shell('ps -o args'));
    expect(joined.stdout).toContain('sleep 4321');
  });

  test('a container in the pid namespace of the host ends with all its processes', async () => {
    const id = await engine.succeed('run', '-d', ...none, '--pid', 'host', ...shell('sleep 4322 & exec sleep 4323'));
    await engine.succeed('kill', id);
    expect(await engine.succeed('wait', id)).toBe('137');
    await engine.succeed('rm', id);
    expect(await engine.settled()).toEqual(nothingLeft);
  });

  test('--ipc container:NAME shares memory with another container', async () => {
    const write = 'echo shared > /dev/shm/word; exec sleep 3600';
    await engine.succeed('run', '-d', ...none, '--ipc', 'shareable', '--name', 'giver', ...shell(write));
    await waitFor(async () => (await engine.docker(['exec', 'giver', 'cat', '/dev/shm/word'])).code === 0);
    const result = await run('--ipc', 'container:giver', image, 'cat', '/dev/shm/word');
    expect(result).toMatchObject({ code: 0, stdout: 'shared\n' });
    expect((await run(image, 'cat', '/dev/shm/word')).code).toBe(1);
  });

  test('says of a container that ran out of memory that it did', async () => {
    const limits = ['--memory', '16m', '--memory-swap', '16m'];
    await engine.docker(['run', '--name', 'hungry', ...none, ...limits, image, 'tail', '/dev/zero']);
    expect(await engine.inspect('hungry', '.State.ExitCode')).toBe('137');
    expect(await engine.inspect('hungry', '.State.OOMKilled')).toBe('true');
  });

  test('does not say so of one that was killed', async () => {
    await engine.succeed('run', '-d', '--name', 'victim', ...none, '--memory', '16m', image, 'sleep', '3600');
    await engine.succeed('kill', 'victim');
    expect(await engine.succeed('wait', 'victim')).toBe('137');
    expect(await engine.inspect('victim', '.State.OOMKilled')).toBe('false');
  });

  test('works for many containers at once, each with its own status and output', async () => {
    const numbers = Array.from({ length: 16 }, (_, number) => number);
    const results = await Promise.all(numbers.map((number) => run(...shell(`echo ${number}; exit ${number}`))));
    expect(results).toEqual(numbers.map((number) => ({ code: number, stdout: `${number}\n`, stderr: '' })));
  });
});
