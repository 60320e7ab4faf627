import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  containersDefinition,
  eventsDefinition,
  tasksDefinition,
  versionDefinition,
} from '../../../src/shared/grpc/index.ts';
import { typeUrls, wireAny } from '../../../src/shared/wire/any.ts';
import { failureOf } from '../../helpers/api-client.ts';
import { Daemon } from '../../helpers/daemon.ts';
import { mainProgram, Program, runProgram } from '../../helpers/program.ts';
import { createTask, startTask } from '../../helpers/tasks.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const modeOf = (file: string) => (statSync(file).mode & 0o7777).toString(8);

describe('a daemon that serves', () => {
  test('says so in one line, and in its log with what it took over', async () => {
    await using daemon = await Daemon.start();
    const ready = daemon.output.split('\n').filter((line) => line.startsWith('shimd ready: '));
    expect(ready).toEqual([`shimd ready: unix://${daemon.socket} (pid ${daemon.pid})`]);
    expect(daemon.log).toContainEqual(
      expect.objectContaining({ level: 'info', message: 'daemon ready', address: daemon.socket, shims: 0, tasks: 0 }),
    );
  });

  test('keeps its directories and sockets to itself under any umask', async () => {
    const umask = process.umask(0);
    const daemon = await Daemon.start().finally(() => process.umask(umask));
    await using _ = daemon;
    expect([daemon.root, daemon.state].map(modeOf)).toEqual(['700', '711']);
    const files = ['shimd.sock', 'events.sock', '.lock'].map((name) => path.join(daemon.state, name));
    expect(files.map(modeOf)).toEqual(['600', '600', '600']);
    expect(modeOf(path.join(daemon.root, '.metadata'))).toBe('700');
  });

  test('logs who connects', async () => {
    await using daemon = await Daemon.start();
    await daemon.client.call(versionDefinition.version, {});
    const peers = daemon.log.filter((line) => line['message'] === 'client connected');
    expect(peers).toContainEqual(expect.objectContaining({ uid: process.getuid?.(), pid: process.pid }));
  });

  test('shares a root with no other daemon either', async () => {
    await using daemon = await Daemon.start();
    const args = ['serve', '--root', daemon.root, '--state', path.join(daemon.directory, 'other')];
    const { code, stderr } = await runProgram(process.execPath, [mainProgram, ...args]);
    expect(code).toBe(3);
    expect(stderr).toBe(
      `shimd: ${daemon.root} is in use by the daemon with pid ${daemon.pid}; stop it first, or choose other directories with --state and --root\n`,
    );
  });
});

describe('a daemon that is stopped', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('by %s ends in order', async (signal) => {
    await using daemon = await Daemon.start();
    const { pid } = daemon;
    process.kill(pid, signal);
    await waitFor(() => !daemon.running, { doing: 'the daemon to end' });
    expect(daemon.log.at(-1)).toMatchObject({ message: 'daemon stopped', clean: true });
    expect(daemon.log.filter((line) => line['level'] === 'error' || line['level'] === 'warn')).toEqual([]);
  });

  test('ends event streams with UNAVAILABLE, and its exit code is 0', async () => {
    await using daemon = await Daemon.start();
    const stream = daemon.client.stream(eventsDefinition.subscribe, { filters: [] });
    await waitFor(() => daemon.log.some((line) => line['message'] === 'client connected'));
    await daemon.client.call(versionDefinition.version, {});
    const failure = failureOf(stream.ended);
    expect((await daemon.stop()).code).toBe(0);
    expect((await failure).code).toBe('UNAVAILABLE');
  });

  test('or killed, leaves nothing that keeps the next one from starting', async () => {
    await using daemon = await Daemon.start();
    await daemon.kill();
    await daemon.start();
    expect(readFileSync(path.join(daemon.state, '.lock'), 'utf8')).toBe(`${daemon.pid}\n`);
    await daemon.stop();
    await daemon.start();
    expect((await daemon.client.call(tasksDefinition.list, {})).tasks ?? []).toEqual([]);
  });

  test('leaves tasks running, and has them again after a start, an ordered stop or none before', async () => {
    await using daemon = await Daemon.start();
    // Asks for nothing that the runtime without isolation would have to refuse.
    const spec = { ociVersion: '1.0.2', process: { args: ['/bin/sleep', '1000'], cwd: '/', env: [] } };
    const value = Buffer.from(JSON.stringify(spec));
    await daemon.client.call(containersDefinition.create, {
      container: {
        id: 'survivor',
        runtime: { name: 'io.shimd.process.v1' },
        spec: wireAny({ typeUrl: typeUrls.spec, value }),
      },
    });
    await createTask(daemon, 'survivor');
    await startTask(daemon, 'survivor');
    const running = async () => {
      const { process } = await daemon.client.call(tasksDefinition.get, { containerId: 'survivor' });
      return { pid: process?.pid, status: process?.status };
    };
    const before = await running();
    expect((await daemon.stop()).code).toBe(0);
    expect(readFileSync(`/proc/${before.pid}/cmdline`, 'utf8')).toContain('sleep');
    await daemon.start();
    expect(await running()).toEqual(before);
    await daemon.kill();
    await daemon.start();
    expect(await running()).toEqual(before);
  });
});

describe('a wrong command line', () => {
  test.each([
    [['--workers', '0'], /--workers <count>/],
    [['--workers', 'two'], /whole number from 1 to 64/],
    [['--log-level', 'loud'], /Allowed choices are error, warn, info, debug/],
    [['--colour'], /unknown option '--colour'/],
    [['now'], /too many arguments/],
  ])('%j ends with code 2 and the reason', async (args, message) => {
    const { code, stderr } = await runProgram(process.execPath, [mainProgram, 'serve', ...args]);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });

  test('asks for help, and gets it with code 0', async () => {
    const { code, stdout } = await runProgram(process.execPath, [mainProgram, 'serve', '--help']);
    expect(code).toBe(0);
    for (const flag of ['--root', '--state', '--address', '--config', '--log-level', '--workers']) {
      expect(stdout).toContain(flag);
    }
  });
});

describe('the publish binary', () => {
  test("hands an event on standard input to the daemon's subscribers", async () => {
    await using daemon = await Daemon.start();
    const stream = daemon.client.stream(eventsDefinition.subscribe, { filters: ['topic=="/custom/topic"'] });
    const flags = ['-address', daemon.socket, '-namespace', daemon.namespace, 'publish', '--topic', '/custom/topic'];
    const env = { ...daemon.environment, TTRPC_ADDRESS: path.join(daemon.state, 'events.sock') };
    // A google.protobuf.Any of the type `t` with no value.
    const input = '\n\u0001t';
    await waitFor(async () => {
      const program = new Program(process.execPath, [mainProgram, ...flags], { env, input });
      expect(await program.finished).toMatchObject({ code: 0, stdout: '', stderr: '' });
      return stream.messages.length > 0;
    });
    expect(stream.messages[0]).toMatchObject({ namespace: daemon.namespace, topic: '/custom/topic' });
    stream.cancel();
  });
});
