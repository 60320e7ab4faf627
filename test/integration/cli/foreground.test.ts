import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { StallingRunc } from '../../guarantees/lib/stalling-runc.ts';
import { Daemon, nothingLeft } from '../../helpers/daemon.ts';
import { mainProgram, type Program, runProgram } from '../../helpers/program.ts';
import { busyboxRootfs, generations, haveRuntimes } from '../../helpers/runtimes.ts';
import { uniqueName } from '../../helpers/test-run.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const newest = generations.at(-1);
const shell = (script: string): string[] => ['--rootfs', busyboxRootfs, '--', '/bin/sh', '-c', script];

/** The FIFO directories of a client's process; none once it has ended by itself. */
function fifoDirectories(pid: number | undefined): string[] {
  return readdirSync('/run').filter((name) => name.startsWith(`shimd-stdio-${pid}-`));
}

describe.skipIf(newest === undefined || !haveRuntimes)('a command in the foreground', () => {
  let daemon: Daemon;
  let stalling: StallingRunc;

  beforeAll(async () => {
    stalling = new StallingRunc();
    daemon = await Daemon.start({
      ...(newest === undefined ? {} : { generation: newest }),
      programs: [stalling.directory],
    });
  });

  afterEach(async () => {
    if (!daemon.running) await daemon.start();
    expect(await daemon.settled({ sharedShims: true })).toEqual(nothingLeft);
  });

  afterAll(() => daemon?.[Symbol.asyncDispose]());

  const run = (...args: string[]): Program => daemon.startShimd(['run', '--rm', ...args]);

  const says = async (program: Program, text: string): Promise<void> => {
    await waitFor(() => program.stdout.includes(text), { doing: `the command to say ${text}` });
  };

  /** Runs a line of our own shell with `$SHIMD` as the client. */
  const pipeline = (line: string): ReturnType<typeof runProgram> => {
    const client = `${process.execPath} ${mainProgram} --address ${daemon.socket} --namespace ${daemon.namespace}`;
    const env = {
      ...daemon.environment,
      SHIMD: `${client} run --rm --rootfs ${busyboxRootfs}`,
      DIRECTORY: daemon.directory,
    };
    return runProgram('bash', ['-o', 'pipefail', '-c', line], { env });
  };

  test('loses no byte of 64 MB in and out', async () => {
    const result = await pipeline('head -c 67108864 /dev/zero | $SHIMD -- cat | wc -c');
    expect(result).toMatchObject({ code: 0, stdout: '67108864\n' });
  });

  test('keeps the bytes as they are', async () => {
    const result = await pipeline(
      'f=$DIRECTORY/bytes; head -c 3000000 /dev/urandom > $f && a=$(md5sum < $f) && b=$($SHIMD -- cat < $f | md5sum) && [ "$a" = "$b" ]',
    );
    expect(result.code).toBe(0);
  });

  test('ends as a local command does when its reader goes', async () => {
    const result = await pipeline('$SHIMD -- yes </dev/null | head -n 1; echo ${PIPESTATUS[0]}');
    expect(result).toMatchObject({ stdout: 'y\n141\n', stderr: '' });
  });

  test('waits for a reader that is slow', async () => {
    const result = await pipeline('$SHIMD -- head -c 300000 /dev/zero </dev/null | (sleep 2.5; wc -c)');
    expect(result).toMatchObject({ code: 0, stdout: '300000\n' });
  });

  test('has no input with --no-stdin', async () => {
    const result = await pipeline('echo lost | $SHIMD --no-stdin -- cat');
    expect(result).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test.each([
    ['SIGINT', 'INT'],
    ['SIGHUP', 'HUP'],
    ['SIGQUIT', 'QUIT'],
    ['SIGUSR1', 'USR1'],
    ['SIGUSR2', 'USR2'],
  ] as const)('is sent the %s that the client is sent', async (signal, name) => {
    const program = run(...shell(`trap "echo got; exit 3" ${name}; echo up; while :; do sleep 0.05; done`));
    await says(program, 'up');
    program.child.kill(signal);
    expect(await program.finished).toMatchObject({ code: 3, stdout: 'up\ngot\n', stderr: '' });
  });

  test('leaves no FIFO behind, however it ends', async () => {
    const ended = run(...shell('echo up; exit 1'));
    await ended.finished;
    const failed = run('--rootfs', busyboxRootfs, '--', '/nope');
    expect((await failed.finished).code).toBe(127);
    for (const { child } of [ended, failed]) expect(fifoDirectories(child.pid)).toEqual([]);
  });

  test('goes on, and gives its status, when the daemon is killed and comes back', async () => {
    const program = run(...shell('echo up; while [ ! -e /dev/shm/go ]; do sleep 0.05; done; echo late; exit 12'));
    await says(program, 'up');
    const [task] = JSON.parse((await daemon.shimd(['ps', '--json'])).stdout) as [{ id: string }];
    await daemon.kill();
    await waitFor(() => program.stderr.includes('lost the daemon'), { doing: 'the client to say so' });
    await daemon.start();
    await waitFor(() => program.stderr.includes('the daemon is back'), { doing: 'the client to come back' });
    expect((await daemon.shimd(['exec', task.id, 'touch', '/dev/shm/go'])).code).toBe(0);
    expect(await program.finished).toMatchObject({ code: 12, stdout: 'up\nlate\n' });
  });

  test('gives its status where it ended while there was no daemon', async () => {
    const program = run(...shell('echo up; sleep 1; echo late; exit 12'));
    await says(program, 'up');
    await daemon.kill();
    await says(program, 'late');
    await daemon.start();
    expect(await program.finished).toMatchObject({ code: 12, stdout: 'up\nlate\n' });
  });

  test.each(['before', 'after'] as const)('goes on where the daemon is killed %s the program began', async (moment) => {
    const id = uniqueName('k');
    stalling.stall(moment, 'start', id);
    const program = run('--id', id, ...shell('echo ran; exit 12'));
    await stalling.reached(moment, 'start');
    await daemon.kill();
    stalling.release(moment, 'start');
    await daemon.start();
    expect(await program.finished).toMatchObject({ code: 12, stdout: 'ran\n', stderr: '' });
  });

  test('runs on when the client is killed', async () => {
    const id = uniqueName('k');
    const program = run('--id', id, ...shell('echo up; while :; do sleep 0.1; done'));
    await says(program, 'up');
    program.child.kill('SIGKILL');
    await program.finished;
    const [line] = JSON.parse((await daemon.shimd(['ps', '--json'])).stdout) as [{ task: { status: string } }];
    expect(line.task.status).toBe('running');
    expect((await daemon.shimd(['rm', '-f', id])).code).toBe(0);
  });

  test('is given up, with nothing left, when the client is interrupted before it starts', async () => {
    // Asked at a moment that cannot be chosen from here, so at several.
    const delays = [250, 300, 350, 400];
    const codes = await Promise.all(
      delays.map(async (delay) => {
        const program = run(...shell('trap "exit 3" INT; while :; do sleep 0.05; done'));
        setTimeout(() => program.child.kill('SIGINT'), delay);
        // Where the shell was up before its trap was set, the first process ignores it.
        setTimeout(() => program.child.kill('SIGINT'), 3000);
        return (await program.finished).code;
      }),
    );
    for (const code of codes) expect([3, 130]).toContain(code);
  });

  test('writes to a log file of the host where one is named', async () => {
    const log = path.join(daemon.directory, 'task log');
    const program = run('--log', log, ...shell('echo out; echo err >&2'));
    expect(await program.finished).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(existsSync(log) && readFileSync(log, 'utf8').split('\n').toSorted()).toEqual(['', 'err', 'out']);
  });

  test('has the user, directory, variables and limits that were asked for', async () => {
    const options = ['--user', '7:8', '--cwd', '/bin', '--env', 'A=b c', '--memory', '64m', '--pids', '20'];
    const result = await run(...options, ...shell('id -u; id -g; pwd; echo "$A"')).finished;
    expect(result).toEqual({ code: 0, stdout: '7\n8\n/bin\nb c\n', stderr: '' });
  });

  test('does not see the host’s network unless that is asked for', async () => {
    const interfaces = shell('cut -d: -f1 /proc/net/dev | tail -n +3 | tr -d " " | sort | tr "\\n" " "');
    expect((await run(...interfaces).finished).stdout.trim()).toBe('lo');
  });
});
