import { closeSync, constants, openSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import path from 'node:path';
import { mkfifo, openFifoReader } from '../../src/shared/host/index.ts';

/** Makes a FIFO in `directory`; answers its path. */
export function makeFifo(directory: string, name: string): string {
  const file = path.join(directory, name);
  mkfifo(file, 0o600);
  return file;
}

/** What has come out of a FIFO so far. */
export class FifoOutput {
  text = '';
  /** Its last writer has gone. */
  ended = false;
  readonly #socket: Socket;

  constructor(file: string) {
    this.#socket = openFifoReader(file).setEncoding('utf8');
    this.#socket.on('data', (text: string) => {
      this.text += text;
    });
    this.#socket.once('end', () => {
      this.ended = true;
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Writes to a FIFO that somebody has open for reading, as a client that comes and goes. */
export function writeFifo(file: string, text: string): void {
  const fd = openSync(file, constants.O_WRONLY | constants.O_NONBLOCK);
  try {
    writeSync(fd, text);
  } finally {
    closeSync(fd);
  }
}
