import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Ground } from './ground.ts';
import { eventually, isRoot, isRunning, nobody } from './host.ts';
import type { Shim } from './shim.ts';

const users = isRoot ? [undefined, nobody] : [undefined];

describe.each(users)('the life of a task in a shim of user %s (undefined: the one who runs the tests)', (user) => {
  let ground: Ground;
  let shim: Shim;

  beforeEach(async () => {
    ground = await Ground.open(user === undefined ? {} : { user });
    shim = await ground.shim();
  });
  afterEach(() => ground.close());

  it('goes from create over start and exit to delete, with the status and the output of the program', async () => {
    const out = ground.file('out');
    const { pid } = await shim.createOf('t', ['sh', '-c', 'echo hello; exit 3'], {}, { stdout: `file://${out}` });
    expect(pid).toBeGreaterThan(1);
    expect(await shim.state('t')).toMatchObject({ id: 't', pid, status: 1 });
    expect(readFileSync(out, 'utf8')).toBe('');
    const waiting = shim.wait('t');
    expect(await shim.start('t')).toMatchObject({ pid });
    expect(await waiting).toMatchObject({ exitStatus: 3 });
    expect(readFileSync(out, 'utf8')).toBe('hello\n');
    expect(await shim.state('t')).toMatchObject({ status: 3, exitStatus: 3 });
    expect(await shim.delete('t')).toMatchObject({ pid, exitStatus: 3 });
    await expect(shim.state('t')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await eventually('all events', () => ground.events.length === 4);
    expect(ground.topics('t')).toEqual(['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
  });

  it('ends a shim at Shutdown only when no task is left', async () => {
    await shim.createOf('t', ['sleep', '1000']);
    await shim.shutdown();
    expect((await shim.connect('t')).shimPid).toBe(shim.pid);
    await shim.delete('t');
    await shim.shutdown();
    await eventually('the shim is gone', () => !isRunning(shim.pid));
  });
});
