import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Daemon, nothingLeft } from '../../helpers/daemon.ts';
import { mainProgram } from '../../helpers/program.ts';
import { busyboxRootfs, generations } from '../../helpers/runtimes.ts';
import { TerminalSession } from '../../helpers/terminal-session.ts';
import { uniqueName } from '../../helpers/test-run.ts';

const newest = generations.at(-1);

describe.skipIf(newest === undefined)('a command in a terminal', () => {
  let daemon: Daemon;
  const sessions: TerminalSession[] = [];

  beforeAll(async () => {
    daemon = await Daemon.start(newest === undefined ? {} : { generation: newest });
  });

  afterEach(async () => {
    for (const session of sessions.splice(0)) {
      await session.close();
    }
    expect(await daemon.settled({ sharedShims: true })).toEqual(nothingLeft);
  });

  afterAll(() => daemon?.[Symbol.asyncDispose]());

  const client = (...args: string[]): string[] => [
    process.execPath,
    mainProgram,
    '--address',
    daemon.socket,
    '--namespace',
    daemon.namespace,
    ...args,
  ];

  const open = (command: readonly string[]): TerminalSession => {
    const [file = '', ...args] = command;
    const session = new TerminalSession({ file, args, env: daemon.environment });
    sessions.push(session);
    return session;
  };

  const inTerminal = (script: string): TerminalSession =>
    open(client('run', '--rm', '-t', '--rootfs', busyboxRootfs, '--', '/bin/sh', '-c', script));

  test('has one, of the size of ours, and exits with its status', async () => {
    const session = inTerminal('[ -t 0 ] && [ -t 1 ] && stty size; exit 5');
    expect(await session.ended).toBe(5);
    expect(session.output).toContain('30 100');
  });

  test('is told when the window changes its size', async () => {
    const session = inTerminal('trap "stty size" WINCH; echo up; while :; do sleep 0.05; done');
    await session.shows('up');
    session.terminal.resize(77, 22);
    await session.shows('22 77');
    expect(session.output).not.toContain('30 100');
    session.terminal.write('\u0003');
    await session.ended;
  });

  test('gets what is typed, ctrl-C too', async () => {
    const session = inTerminal('trap "echo interrupted; exit 4" INT; read -r line; echo "[$line]"; read -r line');
    session.terminal.write('typed\r');
    await session.shows('[typed]');
    session.terminal.write('\u0003');
    await session.shows('interrupted');
    expect(await session.ended).toBe(4);
  });

  test('gives the terminal back as it was, after a start that failed too', async () => {
    const quote = (words: readonly string[]) => words.map((word) => `'${word}'`).join(' ');
    const good = quote(client('run', '--rm', '-t', '--rootfs', busyboxRootfs, '--', '/bin/true'));
    const bad = quote(client('run', '--rm', '-t', '--rootfs', busyboxRootfs, '--', '/nope'));
    const session = open(['bash', '-c', `stty -g; ${good}; stty -g; ${bad}; echo "code $?"; stty -g; echo done`]);
    await session.shows('done');
    const settings = session.output.match(/^[0-9a-f]+(?::[0-9a-f]+){10,}/gm) ?? [];
    expect(settings).toHaveLength(3);
    expect(new Set(settings).size).toBe(1);
    expect(session.output).toContain('code 127');
  });

  test('can be an exec', async () => {
    const id = uniqueName('x');
    expect(
      (await daemon.shimd(['run', '-d', '--id', id, '--rootfs', busyboxRootfs, '--', '/bin/sleep', '3600'])).code,
    ).toBe(0);
    const session = open(client('exec', '-t', id, '/bin/sh', '-c', 'stty size; exit 6'));
    expect(await session.ended).toBe(6);
    expect(session.output).toContain('30 100');
    expect((await daemon.shimd(['rm', '-f', id])).code).toBe(0);
  });

  test('is refused where there is none', async () => {
    const result = await daemon.shimd(['run', '-t', '--rootfs', busyboxRootfs, '--', '/bin/true']);
    expect(result).toMatchObject({ code: 125, stdout: '' });
    expect(result.stderr).toContain('standard input is not a terminal');
  });
});
