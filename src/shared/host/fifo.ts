import { constants, openSync } from 'node:fs';
import { Socket } from 'node:net';

// Every open here is non-blocking: a blocking one parks a thread of libuv's pool until the other side comes,
// and four of those stop all file access of the process.

/**
 * The reading end of a FIFO as a socket. It ends when the last writer has closed, and not before the first one
 * has come; where it has to outlive writers that come and go, hold a writing end open (`openFifoForChild`).
 * Throws a system error (`ENOENT`, `EACCES`).
 */
export function openFifoReader(path: string): Socket {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return new Socket({ fd, readable: true, writable: false });
}

/** The writing end of a FIFO as a socket. Throws `ENXIO` while nobody has it open for reading. */
export function openFifoWriter(path: string): Socket {
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  return new Socket({ fd, readable: false, writable: true });
}

/**
 * A descriptor that needs nobody at the other end, to keep a FIFO open or to be a child's stdio: both directions,
 * so it never sees the end of the input itself. Blocking in use, as programs expect of their stdio. The caller closes it.
 */
export function openFifoForChild(path: string): number {
  return openSync(path, constants.O_RDWR);
}
