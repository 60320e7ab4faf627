import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import { mkfifo, openFifoForChild, openFifoReader, openFifoWriter } from '../../../../src/shared/host/index.ts';
import { scratchDirectory } from './scratch.ts';

function makeFifo(): string {
  const fifo = path.join(scratchDirectory(), 'fifo');
  mkfifo(fifo, 0o600);
  return fifo;
}

describe('mkfifo', () => {
  test('makes a FIFO with exactly the asked mode under any umask', () => {
    const fifo = path.join(scratchDirectory(), 'fifo');
    const umask = process.umask(0o777);
    try {
      mkfifo(fifo, 0o640);
    } finally {
      process.umask(umask);
    }
    expect(statSync(fifo).isFIFO()).toBe(true);
    expect(statSync(fifo).mode & 0o777).toBe(0o640);
  });

  test('fails with the code of the errno', () => {
    const fifo = makeFifo();
    expect(() => mkfifo(fifo, 0o600)).toThrow(expect.objectContaining({ code: 'EEXIST', syscall: 'mkfifo' }));
    expect(() => mkfifo(path.join(fifo, 'x'), 0o600)).toThrow(expect.objectContaining({ code: 'ENOTDIR' }));
  });
});

describe('a FIFO', () => {
  test('is read to the close of its last writer, however late the first one comes', async () => {
    const fifo = makeFifo();
    const reader = openFifoReader(fifo);
    const content = text(reader);
    const first = openSync(fifo, constants.O_WRONLY);
    const second = openSync(fifo, constants.O_WRONLY);
    writeSync(first, 'one ');
    closeSync(first);
    writeSync(second, 'two');
    closeSync(second);
    expect(await content).toBe('one two');
  });

  test('refuses a writer while nobody reads', () => {
    expect(() => openFifoWriter(makeFifo())).toThrow(expect.objectContaining({ code: 'ENXIO' }));
  });

  test('is written through a socket whose end the reader sees', async () => {
    const fifo = makeFifo();
    const reader = openFifoReader(fifo);
    const writer = openFifoWriter(fifo);
    const content = text(reader);
    writer.end('x'.repeat(300_000));
    expect(await content).toHaveLength(300_000);
  });

  test('tells its writer when the reader is gone', async () => {
    const fifo = makeFifo();
    const reader = openFifoReader(fifo);
    const writer = openFifoWriter(fifo);
    reader.destroy();
    await once(reader, 'close');
    const failed = once(writer, 'error');
    writer.write('nobody is there');
    expect(await failed).toEqual([expect.objectContaining({ code: 'EPIPE' })]);
  });

  test('can be the stdout of a child before anybody reads it', async () => {
    const fifo = makeFifo();
    const fd = openFifoForChild(fifo);
    onTestFinished(() => closeSync(fd));
    const child = spawn('echo', ['hello'], { stdio: ['ignore', fd, 'inherit'] });
    await once(child, 'exit');
    const bytes = Buffer.alloc(16);
    expect(bytes.toString('utf8', 0, readSync(fd, bytes))).toBe('hello\n');
  });
});
