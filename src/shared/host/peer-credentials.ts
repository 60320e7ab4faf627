import type { Socket } from 'node:net';
import { endianness } from 'node:os';
import { mustCallLibc } from './libc.ts';

/** Who connected, as the kernel saw it at `connect`; it cannot be forged. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** `struct ucred`: three 32-bit numbers. */
const ucredLength = 12;

/** The other end of a connected unix socket. Throws a system error where `fd` is none. */
export function peerCredentials(fd: number): PeerCredentials {
  const ucred = new DataView(new ArrayBuffer(ucredLength));
  const length = new Uint32Array([ucredLength]);
  mustCallLibc('getsockopt', 'SO_PEERCRED', (libc) =>
    libc.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, bytesOf(ucred), bytesOf(length)),
  );
  const little = endianness() === 'LE';
  return { pid: ucred.getInt32(0, little), uid: ucred.getUint32(4, little), gid: ucred.getUint32(8, little) };
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** The descriptor of an open socket. Node keeps it on an undocumented handle: this is the only place that looks there. */
export function descriptorOf(socket: Socket): number | undefined {
  const handle: unknown = Reflect.get(socket, '_handle');
  if (typeof handle !== 'object' || handle === null || !('fd' in handle)) return undefined;
  return typeof handle.fd === 'number' && handle.fd >= 0 ? handle.fd : undefined;
}

/** Like `peerCredentials`, of a Node socket; undefined where it is closed already. */
export function peerOfSocket(socket: Socket): PeerCredentials | undefined {
  const fd = descriptorOf(socket);
  return fd === undefined ? undefined : peerCredentials(fd);
}
