import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import { Daemon } from '../../helpers/daemon.ts';
import { processesNaming } from '../../helpers/leftovers.ts';
import { mainProgram, Program, runProgram } from '../../helpers/program.ts';
import { busyboxRootfs, generations } from '../../helpers/runtimes.ts';
import { makeDirectory } from '../../helpers/test-run.ts';
import { waitFor } from '../../helpers/wait-for.ts';

interface Report {
  readonly ok: boolean;
  readonly counts: Readonly<Record<'tasks' | 'lost' | 'repeated' | 'wrong' | 'failed', number>>;
  readonly rounds: readonly { readonly settled: { readonly shims: { readonly processes: number } } }[];
  readonly phases: Readonly<Record<string, { readonly count: number; readonly p50: number; readonly p99: number }>>;
  readonly statuses: readonly { readonly status: number; readonly asked: number; readonly asAsked: number }[];
}

const report = (stdout: string): Report => JSON.parse(stdout) as Report;
const perfect = (tasks: number) => ({ tasks, lost: 0, repeated: 0, wrong: 0, failed: 0 });

describe('load with a private daemon', () => {
  /** Where the private daemon's directory is made: nobody else's may be in it. */
  const temporary = makeDirectory();
  const env = { PATH: process.env['PATH'], HOME: '/nonexistent', TMPDIR: temporary };

  const expectNothingLeft = async (): Promise<void> => {
    await waitFor(() => processesNaming('/shimd-private-').length === 0).catch(() => undefined);
    expect(privateDirectories()).toEqual([]);
    expect(processesNaming(temporary)).toEqual([]);
  };
  const privateDirectories = () =>
    [temporary, tmpdir()].flatMap((directory) =>
      readdirSync(directory).filter((name) => name.startsWith('shimd-private-')),
    );

  test('checks every exit, tells times and footprints as JSON, and leaves nothing', async () => {
    const args = [mainProgram, 'load', '--private', '--tasks', '60', '--concurrency', '12', '--rounds', '2', '--json'];
    const { code, stdout, stderr } = await runProgram(process.execPath, args, { env });
    expect({ code, stderr: stderr.replaceAll(/^round .*\n/gm, '') }).toEqual({ code: 0, stderr: '' });
    const { ok, counts, rounds, phases, statuses } = report(stdout);
    expect({ ok, counts }).toEqual({ ok: true, counts: perfect(120) });
    expect(rounds).toHaveLength(2);
    expect(rounds[1]).toMatchObject({ settled: { daemon: { processes: 1 }, shims: { processes: 0 } } });
    expect(phases['whole']).toMatchObject({ count: 120 });
    expect(statuses.map(({ status }) => status)).toEqual([0, 1, 3, 42, 137, 143, 255]);
    for (const { asked, asAsked } of statuses) expect(asAsked).toBe(asked);
    await expectNothingLeft();
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('removes everything on %s', async (signal) => {
    const args = [mainProgram, 'load', '--private', '--tasks', '100000', '--concurrency', '8', '--task-ms', '20'];
    const program = new Program(process.execPath, args, { env });
    await waitFor(() => /^tasks: [1-9]/m.test(program.stderr), { budget: 30_000 });
    program.child.kill(signal);
    const { code, stdout, stderr } = await program.finished;
    expect(code).toBe(signal === 'SIGINT' ? 130 : 143);
    expect(stdout).toMatch(/\b0 exits lost, 0 repeated, 0 wrong; 0 tasks failed/);
    expect(stderr).toContain('interrupted; removing');
    await expectNothingLeft();
  });

  test('says what is wrong with a command line', async () => {
    const wrong = async (...args: string[]) => {
      const { code, stderr } = await runProgram(process.execPath, [mainProgram, 'load', ...args], { env });
      expect(code).toBe(2);
      return stderr;
    };
    expect(await wrong('--tasks', '0')).toContain('from 1 to 100000');
    expect(await wrong('--tasks', '100000', '--rounds', '1000')).toContain('at most 1000000');
    expect(await wrong('--runtime', 'io.containerd.runc.v2')).toContain('--rootfs');
    expect(await wrong('--runtime', 'io.shimd.process.v1', '--rootfs', '/')).toContain('--rootfs');
  });
});

describe('load on a running daemon', () => {
  let daemon: Daemon | undefined;
  afterEach(async () => {
    await daemon?.[Symbol.asyncDispose]();
    daemon = undefined;
  });

  test('leaves no task, container or bundle behind', async () => {
    daemon = await Daemon.start();
    const { code, stdout } = await daemon.shimd(['load', '--tasks', '40', '--concurrency', '10', '--json']);
    expect(code).toBe(0);
    expect(report(stdout)).toMatchObject({ ok: true, counts: perfect(40) });
    expect((await daemon.shimd(['ps', '-a', '-q'])).stdout).toBe('');
    expect(daemon.bundles().filter((bundle) => !bundle.includes('/.shims/'))).toEqual([]);
  });

  test('fails, and says so, where tasks cannot be made', async () => {
    daemon = await Daemon.start();
    const { code, stdout } = await daemon.shimd(['load', '--tasks', '40', '--runtime', '/nope', '--rootfs', '/']);
    expect(code).toBe(1);
    expect(stdout).toContain('40 of 40 tasks failed');
    expect(stdout).toContain('and 39 more: runtime "/nope": the shim is not installed');
  });

  test('fails where the daemon dies in the middle', async () => {
    daemon = await Daemon.start();
    const loading = daemon.startShimd(['load', '--tasks', '5000', '--concurrency', '8']);
    await waitFor(() => /^tasks: [1-9]/m.test(loading.stderr), { budget: 30_000 });
    await daemon.kill();
    await daemon.start();
    const { code, stdout } = await loading.finished;
    expect(code).toBe(1);
    expect(stdout).toMatch(/round 1: the connection to the daemon .* broke off.*; \d+ tasks not tried/);
    expect((await daemon.shimd(['-n', 'shimd-load', 'ps', '-a', '-q'])).stdout).toBe('');
  });

  test('is not started where a named address has no daemon', async () => {
    const args = [mainProgram, '--address', `${makeDirectory()}/none.sock`, 'load'];
    const { code, stdout, stderr } = await runProgram(process.execPath, args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('cannot reach the daemon');
  });

  const [newest] = generations;
  test.skipIf(newest === undefined)('runs containers', async () => {
    daemon = await Daemon.start(newest === undefined ? {} : { generation: newest });
    const args = ['load', '--rootfs', busyboxRootfs, '--tasks', '20', '--concurrency', '4', '--json'];
    const { code, stdout } = await daemon.shimd(args);
    expect(code).toBe(0);
    const { statuses, ...rest } = report(stdout);
    expect(rest).toMatchObject({ ok: true, counts: perfect(20), runtime: 'io.containerd.runc.v2' });
    expect(statuses.map(({ status }) => status)).toEqual([0, 1, 3, 42, 137, 255]);
  });
});
