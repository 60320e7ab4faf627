import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { io } from '../../../src/shared/proto/gen/metrics.js';
import { Ground } from './ground.ts';
import { eventually, isRoot, nobody } from './host.ts';
import type { Shim } from './shim.ts';

const users = isRoot ? [undefined, nobody] : [undefined];
const SIGKILL = 9;

describe.each(users)('programs of tasks in a shim of user %s (undefined: the one who runs the tests)', (user) => {
  let ground: Ground;
  let shim: Shim;

  beforeEach(async () => {
    ground = await Ground.open(user === undefined ? {} : { user });
    shim = await ground.shim();
  });
  afterEach(() => ground.close());

  it('answers double starts, unknown ids and early deletes as clients expect', async () => {
    await shim.createOf('t', ['sleep', '1000']);
    await expect(shim.createOf('t', ['true'])).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      message: 'task t: already exists',
    });
    await shim.start('t');
    await expect(shim.start('t')).rejects.toMatchObject({ code: 'UNKNOWN', message: 'cannot start a running process' });
    await expect(shim.delete('t')).rejects.toMatchObject({
      code: 'UNKNOWN',
      message: 'cannot delete a running process',
    });
    await expect(shim.state('nope')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'container not created: not found',
    });
    await expect(shim.wait('t', 'e')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'process does not exist e: not found',
    });
    await shim.exec('t', 'e', { args: ['true'] });
    await expect(shim.exec('t', 'e', { args: ['true'] })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      message: 'id e: already exists',
    });
    expect(await shim.delete('t', 'e')).toMatchObject({ exitStatus: 0, pid: 0 });
    await expect(shim.checkpoint('t')).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
    await shim.kill('t', SIGKILL);
    await shim.wait('t');
    await expect(shim.kill('t', SIGKILL)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(shim.exec('t', 'f', { args: ['true'] })).rejects.toMatchObject({
      code: 'UNKNOWN',
      message: 'cannot exec in a stopped state',
    });
  });

  it('reports a program that cannot be run in the words that exit statuses are made of', async () => {
    const fail = (args: string[], process = {}) => shim.createOf('t', args, process);
    await expect(fail(['no-such-program'])).rejects.toMatchObject({
      code: 'UNKNOWN',
      message: expect.stringContaining('exec: "no-such-program": executable file not found in $PATH'),
    });
    await expect(fail(['/no/such'])).rejects.toThrow('exec: "/no/such": no such file or directory');
    await expect(fail(['/etc/passwd'])).rejects.toThrow('exec: "/etc/passwd": permission denied');
    await expect(fail(['true'], { cwd: '/no/such' })).rejects.toThrow('no such file or directory');
    await shim.createOf('t', ['sleep', '1000']);
    await shim.start('t');
    await shim.exec('t', 'e', { args: ['no-such-program'] });
    await expect(shim.start('t', 'e')).rejects.toThrow('executable file not found in $PATH');
    expect((await shim.wait('t', 'e')).exitedAt ?? null).toBeNull();
    expect(await shim.delete('t', 'e')).toMatchObject({ pid: 0 });
  });

  it('gives arguments, environment, directory and limits as asked, and nothing of its own', async () => {
    const out = ground.file('out');
    const env = ['PATH=/usr/bin:/bin', 'A=1', 'odd.name=2', 'EMPTY='];
    const rlimits = [{ type: 'RLIMIT_CORE', soft: 0, hard: 0 }];
    const script = 'env | sort; pwd; umask; ulimit -n; ulimit -c; ls /proc/self/fd | wc -l; printf "%s|" "$@"';
    await shim.createOf(
      't',
      ['bash', '-c', script, 'x', 'a b', '', '$c'],
      { env, cwd: '/usr', rlimits, oomScoreAdj: 500 },
      { stdout: `file://${out}` },
    );
    await shim.start('t');
    expect(await shim.wait('t')).toMatchObject({ exitStatus: 0 });
    const lines = readFileSync(out, 'utf8').split('\n');
    expect(lines.filter((line) => !/^(PWD|SHLVL|_|SHIMD_PROCESS_TASK)=/.test(line))).toEqual([
      'A=1',
      'EMPTY=',
      'PATH=/usr/bin:/bin',
      'odd.name=2',
      '/usr',
      '0022',
      '1024',
      '0',
      '4',
      'a b||$c|',
    ]);
  });

  it('counts CPU time and memory of all processes of a task', async () => {
    await shim.createOf('t', ['sh', '-c', 'sleep 1000 & while :; do :; done']);
    await shim.start('t');
    const metrics = await eventually('CPU time was used', async () => {
      const { stats } = await shim.stats('t');
      expect(stats?.type_url).toBe('io.containerd.cgroups.v2.Metrics');
      const decoded = io.containerd.cgroups.v2.Metrics.decode(stats?.value ?? new Uint8Array());
      return Number(decoded.cpu?.usageUsec) > 20_000 && Number(decoded.pids?.current) === 2 && decoded;
    });
    expect(Number(metrics.memory?.usage)).toBeGreaterThan(500_000);
  });

  it('starts 200 execs that end at once, loses no exit and keeps the order of events', async () => {
    await shim.createOf('t', ['sleep', '1000']);
    await shim.start('t');
    const ids = Array.from({ length: 200 }, (_, i) => `e${i}`);
    const lanes = Array.from({ length: 20 }, async (_, lane) => {
      for (const id of ids.filter((_, i) => i % 20 === lane)) {
        await shim.exec('t', id, { args: ['sh', '-c', `exit ${Number(id.slice(1)) % 7}`] });
        const waiting = shim.wait('t', id);
        await shim.start('t', id);
        expect((await waiting).exitStatus).toBe(Number(id.slice(1)) % 7);
        expect(await shim.delete('t', id)).toMatchObject({ exitStatus: Number(id.slice(1)) % 7 });
      }
    });
    await Promise.all(lanes);
    await eventually('all events', () => ground.events.length === 2 + 3 * 200);
    for (const id of ids) {
      expect(ground.topics('t', id)).toEqual(['/tasks/exec-added', '/tasks/exec-started', '/tasks/exit']);
    }
  });
});

describe.runIf(isRoot)('users', () => {
  it('runs a process as another user with further groups and limits, as root only', async () => {
    const ground = await Ground.open();
    const out = ground.file('out');
    const shim = await ground.shim();
    const process = {
      user: { uid: nobody, gid: 100, additionalGids: [7, 9] },
      noNewPrivileges: true,
      rlimits: [{ type: 'RLIMIT_NOFILE', soft: 100, hard: 200 }],
    };
    await shim.createOf(
      't',
      ['sh', '-c', 'id -u; id -g; id -G; ulimit -Sn; ulimit -Hn; grep NoNewPrivs /proc/self/status'],
      process,
      { stdout: `file://${out}` },
    );
    await shim.start('t');
    await shim.wait('t');
    expect(readFileSync(out, 'utf8')).toBe(`${nobody}\n100\n100 7 9\n100\n200\nNoNewPrivs:\t1\n`);
    await ground.close();
    const other = await Ground.open({ user: nobody });
    const poor = await other.shim();
    await expect(poor.createOf('t', ['true'], { user: { uid: 0, gid: 0 } })).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
    });
    await other.close();
  });
});
