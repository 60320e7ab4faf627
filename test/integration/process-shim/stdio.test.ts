import { closeSync, constants, openSync, readdirSync, readlinkSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Ground } from './ground.ts';
import { eventually, isRoot, nobody } from './host.ts';
import type { Shim } from './shim.ts';

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

describe.each(users)('stdio of tasks in a shim of user %s (undefined: the one who runs the tests)', (user) => {
  let ground: Ground;
  let shim: Shim;

  beforeEach(async () => {
    ground = await Ground.open(user === undefined ? {} : { user });
    shim = await ground.shim();
  });
  afterEach(() => ground.close());

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
});
