import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { dial } from '../../../../src/shared/ttrpc/dial.ts';

let directory: string;
let address: string;
let child: ChildProcess | undefined;
const sockets: Socket[] = [];

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'dial-'));
  address = path.join(directory, 'server.sock');
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  if (child?.exitCode === null && child.signalCode === null) {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
  child = undefined;
  await rm(directory, { recursive: true, force: true });
});

/** A server with room for two connections that nobody takes. */
async function stoppedServer(): Promise<ChildProcess> {
  const program = `require('net').createServer().listen({ path: process.argv[1], backlog: 1 }, () => console.log('up'))`;
  child = spawn(process.execPath, ['-e', program, address], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (child.stdout) await once(child.stdout, 'data');
  child.kill('SIGSTOP');
  return child;
}

async function fill(): Promise<void> {
  for (;;) {
    const socket = await dial(address, Date.now() + 100).catch(() => undefined);
    if (socket === undefined) return;
    sockets.push(socket);
  }
}

test('a missing socket and one that nobody serves are UNAVAILABLE at once, without words that mean other things', async () => {
  const began = Date.now();
  const deadline = began + 10_000;
  const missing = dial(address, deadline);
  await expect(missing).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.not.stringMatching(/no such|ENOENT/),
  });
  await expect(dial(path.join(address, 'below'), deadline)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  const server = await stoppedServer();
  const ended = once(server, 'exit');
  server.kill('SIGKILL');
  await ended;
  await expect(dial(address, deadline)).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('connection refused'),
  });
  expect(Date.now() - began).toBeLessThan(5000);
});

test('a file that is no socket is UNAVAILABLE', async () => {
  await writeFile(address, '');
  await expect(dial(address, Date.now() + 1000)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});

test('a stopped server whose queue is full is late, not dead', async () => {
  await stoppedServer();
  await fill();
  const began = Date.now();
  await expect(dial(address, began + 200)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  expect(Date.now() - began).toBeLessThan(2000);
});

test('a server that goes on in time is reached', async () => {
  const server = await stoppedServer();
  await fill();
  const dialled = dial(address, Date.now() + 10_000);
  server.kill('SIGCONT');
  const socket = await dialled;
  sockets.push(socket);
  expect(socket.readyState).toBe('open');
});
