import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { containerd } from '../../../src/shared/proto/gen/task.js';
import { Ground } from './ground.ts';
import { eventually, isRoot, isRunning, nobody } from './host.ts';
import type { Shim } from './shim.ts';

const users = isRoot ? [undefined, nobody] : [undefined];

describe.each(users)('a shim of user %s (undefined: the one who runs the tests) that dies', (user) => {
  let ground: Ground;
  let shim: Shim;

  beforeEach(async () => {
    ground = await Ground.open(user === undefined ? {} : { user });
    shim = await ground.shim();
  });
  afterEach(() => ground.close());

  async function killShim(): Promise<void> {
    process.kill(shim.pid, 'SIGKILL');
    await eventually('the shim is gone', () => !isRunning(shim.pid));
  }

  it('leaves processes that run on, and its delete action ends all of them', async () => {
    const file = ground.file('escaped');
    await shim.createOf('t', ['sh', '-c', `setsid sh -c 'echo $$ > ${file}; exec sleep 1000' & exec sleep 1000`]);
    const { pid } = await shim.start('t');
    await shim.exec('t', 'e', { args: ['sleep', '1000'] });
    const exec = await shim.start('t', 'e');
    const escaped = Number(await eventually('it escaped', () => existsSync(file) && readFileSync(file, 'utf8').trim()));
    await killShim();
    expect([pid, exec.pid, escaped].map(isRunning)).toEqual([true, true, true]);
    const answer = containerd.task.v2.DeleteResponse.decode(await shim.deleteAction('t'));
    expect(answer).toMatchObject({ pid, exitStatus: 137 });
    expect([pid, exec.pid, escaped].map(isRunning)).toEqual([false, false, false]);
    expect(containerd.task.v2.DeleteResponse.decode(await shim.deleteAction('t')).exitStatus).toBe(137);
  });

  it('takes the tasks along that were created and never started', async () => {
    const { pid } = await shim.createOf('t', ['sleep', '1000']);
    await killShim();
    await eventually('the process is gone', () => !isRunning(pid));
    expect(containerd.task.v2.DeleteResponse.decode(await shim.deleteAction('t'))).toMatchObject({
      pid,
      exitStatus: 137,
    });
  });

  it('has left the real status of a task that ended before', async () => {
    await shim.createOf('t', ['sh', '-c', 'exit 5']);
    await shim.start('t');
    const { exitedAt } = await shim.wait('t');
    await killShim();
    const answer = containerd.task.v2.DeleteResponse.decode(await shim.deleteAction('t'));
    expect(answer.exitStatus).toBe(5);
    expect(Number(answer.exitedAt?.seconds)).toBe(Number(exitedAt?.seconds));
  });

  it('does not make its delete action kill a process that only has the pid of a former one', async () => {
    await shim.createOf('t', ['true']);
    await killShim();
    const record = path.join(ground.directory, 'ns/t/process-shim.json');
    const value: unknown = JSON.parse(readFileSync(record, 'utf8'));
    const other = { ...Object(value), init: { ...Object(value).init, pid: process.pid } };
    writeFileSync(record, JSON.stringify(other));
    await shim.deleteAction('t');
    expect(isRunning(process.pid)).toBe(true);
  });
});

describe('a shim whose daemon dies', () => {
  it('goes on with its tasks, and answers while nobody takes its events', async () => {
    const ground = await Ground.open();
    const shim = await ground.shim();
    process.kill(shim.pid, 'SIGHUP');
    await shim.createOf('t', ['sleep', '1000']);
    await shim.start('t');
    await ground.closeEvents();
    for (let i = 0; i < 50; i++) {
      await shim.exec('t', `e${i}`, { args: ['true'] });
      await shim.start('t', `e${i}`);
      expect(await shim.wait('t', `e${i}`)).toMatchObject({ exitStatus: 0 });
    }
    await ground.openEvents();
    await eventually('the events came late, in order', () => ground.topics('t', 'e49').length === 3);
    expect(ground.topics('t', 'e0')).toEqual(['/tasks/exec-added', '/tasks/exec-started', '/tasks/exit']);
    await ground.close();
  });

  it('is found again by a second start with the same identity', async () => {
    const ground = await Ground.open();
    const first = await ground.shim();
    const second = await ground.shim();
    expect(second.pid).toBe(first.pid);
    await ground.close();
  });
});
