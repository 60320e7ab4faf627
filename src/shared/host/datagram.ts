import { closeSync } from 'node:fs';
import { mustCallLibc } from './libc.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;

/** Longest path in a `sockaddr_un`, without its terminating zero. */
export const maxSocketPathLength = 107;

/**
 * Sends one datagram to a unix socket: a path, or `@name` for an abstract one, as in `NOTIFY_SOCKET`.
 * Does not wait: throws a system error (`EAGAIN`) where the receiver's queue is full.
 */
export function sendDatagram(address: string, message: string): void {
  const to = socketAddress(address);
  const bytes = Buffer.from(message);
  const fd = mustCallLibc('socket', address, (libc) =>
    libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
  );
  try {
    mustCallLibc('sendto', address, (libc) => libc.sendto(fd, bytes, bytes.length, MSG_NOSIGNAL, to, to.length));
  } finally {
    closeSync(fd);
  }
}

/** `struct sockaddr_un`: the family in the machine's order, then the path; an abstract name starts with a zero byte. */
function socketAddress(address: string): Uint8Array {
  const name = Buffer.from(address.startsWith('@') ? `\0${address.slice(1)}` : address);
  if (name.length > maxSocketPathLength) throw new RangeError(`socket address too long: ${address}`);
  const family = new Uint8Array(new Uint16Array([AF_UNIX]).buffer);
  return Buffer.concat(address.startsWith('@') ? [family, name] : [family, name, Buffer.alloc(1)]);
}
