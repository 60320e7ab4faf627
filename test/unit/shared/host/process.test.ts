import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, readlinkSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import koffi from 'koffi';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  closeInheritedOnExec,
  conventionalNofileSoft,
  nofileLimit,
  peerCredentials,
  peerOfSocket,
  reapChild,
  sendDatagram,
  setCloseOnExec,
  setNofileSoft,
  withNofileSoft,
} from '../../../../src/shared/host/index.ts';
import { DatagramReceiver } from '../../../helpers/datagram-receiver.ts';
import { scratchDirectory } from './scratch.ts';

describe('peer credentials', () => {
  test('are those of the process that connected', async () => {
    const address = path.join(scratchDirectory(), 'socket');
    const server = createServer().listen(address);
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const program = `require('net').connect(${JSON.stringify(address)}).on('error', () => process.exit(0))`;
    const child = spawn(process.execPath, ['-e', program], { stdio: 'ignore' });
    onTestFinished(() => void child.kill('SIGKILL'));
    const [socket] = await once(server, 'connection');
    expect(peerOfSocket(socket)).toEqual({ pid: child.pid, uid: process.getuid?.(), gid: process.getgid?.() });
    socket.destroy();
  });

  test('of a closed socket are unknown', async () => {
    const address = path.join(scratchDirectory(), 'socket');
    const server = createServer().listen(address);
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const socket = connect(address);
    await once(socket, 'connect');
    expect(peerOfSocket(socket)?.pid).toBe(process.pid);
    socket.destroy();
    expect(peerOfSocket(socket)).toBeUndefined();
  });

  test('of what is no socket fail with the code of the errno', () => {
    const fd = openSync('/dev/null', 'r');
    onTestFinished(() => closeSync(fd));
    expect(() => peerCredentials(fd)).toThrow(expect.objectContaining({ code: 'ENOTSOCK' }));
  });
});

describe('reaping', () => {
  test('leaves alone a child that runs and a process that is no child', () => {
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    onTestFinished(() => void child.kill('SIGKILL'));
    expect(reapChild(child.pid ?? 0)).toBe(false);
    expect(reapChild(1)).toBe(false);
  });

  test('refuses what waitpid takes for a group', () => {
    expect(() => reapChild(0)).toThrow(RangeError);
    expect(() => reapChild(-1)).toThrow(RangeError);
  });

  test('removes the zombie of a child that nobody watches any more', async () => {
    // A child of a thread that is gone; an eval'd thread is plain JavaScript.
    const { Worker } = await import('node:worker_threads');
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads');
       const child = require('node:child_process').spawn('sleep', ['60'], { stdio: 'ignore', detached: true });
       child.unref();
       parentPort.postMessage(child.pid);
       setInterval(() => {}, 1000);`,
      { eval: true },
    );
    const [pid] = await once(worker, 'message');
    await worker.terminate();
    process.kill(pid, 'SIGKILL');
    await vi.waitFor(() => expect(readFileSync(`/proc/${pid}/stat`, 'utf8')).toContain(') Z '));
    expect(reapChild(pid)).toBe(true);
    expect(() => readFileSync(`/proc/${pid}/stat`)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    expect(reapChild(pid)).toBe(false);
  });
});

const seenByChild = () => spawnSync('ls', ['/proc/self/fd'], { encoding: 'utf8' }).stdout.trim().split('\n');

describe('inherited descriptors', () => {
  test.each([
    ['all of them', () => closeInheritedOnExec()],
    ['one', (fd: number) => setCloseOnExec(fd)],
  ])('are passed on to no child any more: %s', (_, keep) => {
    const opened = openSync('/dev/null', 'r');
    // What dup makes is not close-on-exec: just as a descriptor that came with the process.
    const inherited: number = koffi.load(null).func('int dup(int fd)')(opened);
    onTestFinished(() => [opened, inherited].forEach((fd) => closeSync(fd)));
    expect(seenByChild()).toContain(String(inherited));
    keep(inherited);
    expect(seenByChild()).not.toContain(String(inherited));
    expect(readlinkSync(`/proc/self/fd/${inherited}`)).toBe('/dev/null');
  });

  test('that are not open fail with the code of the errno', () => {
    expect(() => setCloseOnExec(9999)).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });
});

const softOfChild = () => spawnSync('sh', ['-c', 'ulimit -Sn'], { encoding: 'utf8' }).stdout.trim();
const failing = () => {
  throw new Error('no such program');
};

describe('the limit on open descriptors', () => {
  test('is the conventional one for a child, and this process keeps its own', () => {
    const before = nofileLimit();
    const child = withNofileSoft(softOfChild);
    expect(child).toBe(String(Math.min(conventionalNofileSoft, before.hard)));
    expect(nofileLimit()).toEqual({ soft: before.hard, hard: before.hard });
  });

  test('is restored where the spawn throws', () => {
    const { hard } = nofileLimit();
    expect(() => withNofileSoft(failing)).toThrow('no such program');
    expect(nofileLimit().soft).toBe(hard);
  });

  test('is not lowered below descriptors that are in use', () => {
    const { soft } = nofileLimit();
    expect(withNofileSoft(() => nofileLimit().soft, 100)).toBe(soft);
  });

  test('of another process can be read and set, up to its hard one', () => {
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    onTestFinished(() => void child.kill('SIGKILL'));
    const pid = child.pid ?? 0;
    const { hard } = nofileLimit(pid);
    expect(setNofileSoft(pid, 64)).toBe(64);
    expect(nofileLimit(pid)).toEqual({ soft: 64, hard });
    expect(setNofileSoft(pid, Number.POSITIVE_INFINITY)).toBe(hard);
  });
});

describe('a datagram', () => {
  test.each(['a path', 'an abstract name'])('reaches whoever listens at %s', async (kind) => {
    const address =
      kind === 'a path' ? path.join(scratchDirectory(), 'notify') : `@shimd-test-${process.pid}-${Date.now()}`;
    using receiver = new DatagramReceiver(address);
    sendDatagram(address, 'READY=1\nSTATUS=serving');
    expect(receiver.receive()).toBe('READY=1\nSTATUS=serving');
    expect(receiver.receive()).toBeUndefined();
  });

  test('to a path where nobody listens fails with the code of the errno', () => {
    expect(() => sendDatagram(path.join(scratchDirectory(), 'none'), 'x')).toThrow(
      expect.objectContaining({ code: 'ENOENT' }),
    );
  });

  test('to an address over the limit is refused, not cut', () => {
    expect(() => sendDatagram(`/${'x'.repeat(107)}`, 'x')).toThrow(RangeError);
  });
});
