import { write } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { isErrnoException } from '../../shared/errors/index.ts';

const writeSome = promisify(write);
/** A reader that shares our descriptor may have made it non-blocking; there is nothing to wait on then but time. */
const fullPause = 5;

/**
 * Writes all of `bytes` to one of our own standard descriptors. Not through `process.stdout`: that one writes to pipes
 * synchronously, and while the reader sleeps no signal would be forwarded.
 * Throws a system error, EPIPE where the reader is gone.
 */
export async function writeAll(descriptor: number, bytes: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < bytes.length) {
    try {
      const { bytesWritten } = await writeSome(descriptor, bytes, offset, bytes.length - offset, null);
      offset += bytesWritten;
    } catch (error) {
      if (!isErrnoException(error) || error.code !== 'EAGAIN') throw error;
      await sleep(fullPause);
    }
  }
}
