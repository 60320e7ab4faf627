import type { Socket } from 'node:net';
import { endianness } from 'node:os';
import { callLibc } from './libc.ts';
import { descriptorOf } from './peer-credentials.ts';

const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
/** Beyond `net.core.wmem_max`; needs CAP_NET_ADMIN. */
const SO_SNDBUFFORCE = 32;

/**
 * Lets the kernel hold up to `bytes` of what was written to a connected socket and not read yet; as many as this user may have,
 * where that is less. Nothing is taken before it is used.
 */
export function growSendBuffer(socket: Socket, bytes: number): void {
  const fd = descriptorOf(socket);
  if (fd === undefined) return;
  const value = new DataView(new ArrayBuffer(4));
  value.setInt32(0, bytes, endianness() === 'LE');
  const argument = new Uint8Array(value.buffer);
  for (const option of [SO_SNDBUFFORCE, SO_SNDBUF]) {
    if (callLibc((libc) => libc.setsockopt(fd, SOL_SOCKET, option, argument, argument.length)).ok) return;
  }
}
