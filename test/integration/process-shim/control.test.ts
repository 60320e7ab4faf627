import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeSync,
} from 'node:fs';
import { Socket } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readTaskRecord } from '../../../src/process-shim/task-record.ts';
import { io } from '../../../src/shared/proto/gen/metrics.js';
import { eventually, Ground, isRoot, isRunning, nobody, type Shim } from './shim.ts';

/** What a process has open. */
function descriptorsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}

const users = isRoot ? [undefined, nobody] : [undefined];
const SIGTERM = 15;
const SIGKILL = 9;

/** Everything that comes out of a FIFO until its last writer is gone. */
async function readFifo(file: string): Promise<string> {
  const socket = new Socket({
    fd: openSync(file, constants.O_RDONLY | constants.O_NONBLOCK),
    readable: true,
    writable: false,
  });
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

function stateOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
}

describe.each(users)('control of tasks in a shim of user %s (undefined: the one who runs the tests)', (user) => {
  let ground: Ground;
  let shim: Shim;

  beforeEach(async () => {
    ground = await Ground.open(user === undefined ? {} : { user });
    shim = await ground.shim();
  });
  afterEach(() => ground.close());

  const written = (file: string): Promise<string> =>
    eventually(`${file} is written`, () => existsSync(file) && readFileSync(file, 'utf8').trim());

  it('kills the processes that left the group, the session and their parents when all are to be killed', async () => {
    const escaped = ground.file('escaped');
    const script = `setsid sh -c '(sleep 1000 & echo $! > ${escaped}.new; mv ${escaped}.new ${escaped}) & exit' ; sleep 1000`;
    await shim.createOf('t', ['sh', '-c', script]);
    await shim.start('t');
    const pid = Number(await written(escaped));
    await eventually(
      'the process has lost its parent',
      () => !readFileSync(`/proc/${pid}/status`, 'utf8').includes(`PPid:\t${pid}`),
    );
    expect((await shim.pids('t')).processes.map((process) => process.pid)).toContain(pid);
    await shim.kill('t', SIGKILL, { all: true });
    expect(await shim.wait('t')).toMatchObject({ exitStatus: 137 });
    expect(isRunning(pid)).toBe(false);
  });

  it('ends what init leaves behind, and tells the exits of its execs before its own', async () => {
    const left = ground.file('left');
    await shim.createOf(
      't',
      ['sh', '-c', `setsid sleep 1000 & echo $! > ${left}; read -r _`],
      {},
      { stdin: ground.fifo('in') },
    );
    await shim.start('t');
    await shim.exec('t', 'e', { args: ['sleep', '1000'] });
    await shim.start('t', 'e');
    const pid = Number(await written(left));
    await shim.closeStdin('t');
    expect(await shim.wait('t')).toMatchObject({ exitStatus: 1 });
    expect(isRunning(pid)).toBe(false);
    expect(await shim.wait('t', 'e')).toMatchObject({ exitStatus: 137 });
    await eventually('all events', () => ground.topics('t').includes('/tasks/exit'));
    const exits = ground.events.filter(({ topic }) => topic === '/tasks/exit').map(({ id }) => id);
    expect(exits).toEqual(['e', 't']);
  });

  it('kills one process only when one is named', async () => {
    await shim.createOf('t', ['sleep', '1000']);
    await shim.start('t');
    await shim.exec('t', 'e', { args: ['sleep', '1000'] });
    await expect(shim.kill('t', SIGTERM, { execId: 'e' })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await shim.start('t', 'e');
    await shim.kill('t', SIGTERM, { execId: 'e' });
    expect(await shim.wait('t', 'e')).toMatchObject({ exitStatus: 143 });
    expect(await shim.state('t')).toMatchObject({ status: 2 });
    await expect(shim.kill('t', SIGTERM, { execId: 'e' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'process already finished: not found',
    });
    await expect(shim.kill('t', 99)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await shim.delete('t', 'e')).toMatchObject({ exitStatus: 143 });
    await shim.kill('t', 40);
    expect(await shim.wait('t')).toMatchObject({ exitStatus: 168 });
  });

  it('ends a task that was created and never started', async () => {
    await shim.createOf('killed', ['sleep', '1000']);
    await shim.kill('killed', SIGKILL);
    expect(await shim.wait('killed')).toMatchObject({ exitStatus: 137 });
    expect(await shim.state('killed')).toMatchObject({ status: 3 });
    const { pid } = await shim.createOf('deleted', ['sleep', '1000']);
    expect(await shim.delete('deleted')).toMatchObject({ pid, exitStatus: 137 });
    expect(isRunning(pid)).toBe(false);
  });

  it('pauses every process of a task, and resumes it', async () => {
    const { pid } = await shim.createOf('t', ['sh', '-c', 'while :; do :; done']);
    await expect(shim.pause('t')).rejects.toMatchObject({ message: 'cannot pause task in created state' });
    await shim.start('t');
    await shim.pause('t');
    expect(await shim.state('t')).toMatchObject({ status: 4 });
    await expect(shim.pause('t')).rejects.toMatchObject({ code: 'UNKNOWN' });
    await expect(shim.delete('t')).rejects.toMatchObject({ code: 'UNKNOWN' });
    await expect(shim.exec('t', 'e', { args: ['true'] })).rejects.toMatchObject({ code: 'UNKNOWN' });
    expect(stateOf(pid)).toMatch(/[TD]/);
    await shim.resume('t');
    await eventually('the process runs', () => stateOf(pid) === 'R');
    await shim.pause('t');
    await shim.kill('t', SIGKILL);
    expect(await shim.wait('t')).toMatchObject({ exitStatus: 137 });
    await eventually('all events', () => ground.topics('t').at(-1) === '/tasks/exit');
    expect(ground.topics('t')).toEqual(
      ['create', 'start', 'paused', 'resumed', 'paused', 'exit'].map((name) => `/tasks/${name}`),
    );
  });

  it('pauses by the freezer where it may make cgroups, by SIGSTOP elsewhere, and reaches what left the group', async () => {
    const escaped = ground.file('escaped');
    const loop = 'while :; do :; done';
    const script = `setsid sh -c 'echo $$ > ${escaped}.new; mv ${escaped}.new ${escaped}; ${loop}' & ${loop}`;
    const { pid } = await shim.createOf('t', ['sh', '-c', script]);
    await shim.start('t');
    const pids = [pid, Number(await written(escaped))];
    await shim.pause('t');
    const membership = readTaskRecord(path.join(ground.directory, 'ns', 't'))?.membership;
    const states = pids.map(stateOf);
    // A frozen process does not know that it is; a stopped one can be seen, and continued, by everybody.
    const stopped = membership?.kind !== 'cgroup';
    expect(states.map((state) => state === 'T')).toEqual([stopped, stopped]);
    expect(states).not.toContain('R');
    await shim.resume('t');
    await eventually('both run', () => pids.map(stateOf).every((state) => state === 'R'));
    await shim.pause('t');
    await shim.kill('t', SIGKILL, { all: true });
    expect(await shim.wait('t')).toMatchObject({ exitStatus: 137 });
    expect(pids.filter(isRunning)).toEqual([]);
  });

  it('kills processes that cleared their environment and left the session', async () => {
    const escaped = ground.file('escaped');
    const inner = `echo $$ > ${escaped}.new; mv ${escaped}.new ${escaped}; exec sleep 1000`;
    await shim.createOf('t', ['sh', '-c', `env -i setsid sh -c '${inner}' & wait`]);
    await shim.start('t');
    const pid = Number(await written(escaped));
    await shim.kill('t', SIGKILL, { all: true });
    expect(await shim.wait('t')).toMatchObject({ exitStatus: 137 });
    expect(isRunning(pid)).toBe(false);
  });

  it('passes stdin by FIFO, keeps it open over clients, and ends it at CloseIO', async () => {
    const stdin = ground.fifo('in');
    const stdout = ground.fifo('out');
    const output = readFifo(stdout);
    await shim.createOf('t', ['cat'], {}, { stdin, stdout });
    await shim.start('t');
    for (const text of ['one ', 'two\n']) {
      const fd = openSync(stdin, constants.O_WRONLY);
      writeSync(fd, text);
      closeSync(fd);
    }
    await shim.closeStdin('t');
    expect(await shim.wait('t')).toMatchObject({ exitStatus: 0 });
    expect(await output).toBe('one two\n');
  });

  it('does not wait for the other side of FIFOs', async () => {
    await shim.createOf(
      't',
      ['true'],
      {},
      { stdin: ground.fifo('in'), stdout: ground.fifo('out'), stderr: ground.fifo('err') },
    );
    await shim.start('t');
    expect(await shim.wait('t')).toMatchObject({ exitStatus: 0 });
    await shim.delete('t');
  });

  it('refuses a logging program as stdio, and leaves nothing of the task', async () => {
    const bundle = ground.bundle('t', ['true']);
    await expect(shim.create('t', bundle, { stdout: 'binary:///bin/logger' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(shim.state('t')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await shim.create('t', bundle);
    expect(ground.events.filter(({ topic }) => topic === '/tasks/create').length).toBeLessThan(2);
  });

  it('gives a terminal of the asked size, that can be resized, with its output to the end', async () => {
    const stdin = ground.fifo('in');
    const stdout = ground.fifo('out');
    const output = readFifo(stdout);
    const script =
      'stty size; read -r line; echo "got $line"; stty size; test -t 0 && test -t 2; (: < /dev/tty) && exit 7';
    await shim.createOf(
      't',
      ['sh', '-c', script],
      { consoleSize: { width: 100, height: 30 } },
      { stdin, stdout, terminal: true },
    );
    await shim.start('t');
    await shim.resize('t', 120, 40);
    const fd = openSync(stdin, constants.O_WRONLY);
    writeSync(fd, 'hello\n');
    closeSync(fd);
    expect(await shim.wait('t')).toMatchObject({ exitStatus: 7 });
    await shim.delete('t');
    const text = await output;
    expect(text).toContain('got hello\r\n40 120\r\n');
  });

  it('deletes a terminal’s process at once when its output has been passed on, and keeps no descriptor', async () => {
    await shim.createOf('t', ['sh', '-c', 'exit 7'], {}, { stdout: ground.fifo('out'), terminal: true });
    await shim.start('t');
    expect(await shim.wait('t')).toMatchObject({ exitStatus: 7 });
    const ended = Date.now();
    await shim.delete('t');
    // Output that is still on its way would be waited for longer.
    expect(Date.now() - ended).toBeLessThan(1500);
    await eventually('the terminal is closed', () => !descriptorsOf(shim.pid).some((file) => /pts|ptmx/.test(file)));
  });

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
