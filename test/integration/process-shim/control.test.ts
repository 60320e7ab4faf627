import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readTaskRecord } from '../../../src/process-shim/task-record.ts';
import { Ground } from './ground.ts';
import { eventually, isRoot, isRunning, nobody } from './host.ts';
import type { Shim } from './shim.ts';

const users = isRoot ? [undefined, nobody] : [undefined];
const SIGTERM = 15;
const SIGKILL = 9;

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
});
