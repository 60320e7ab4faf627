import { closeSync } from 'node:fs';
import koffi from 'koffi';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;

/** A unix datagram socket, which Node lacks: the part of the service manager in `sd_notify`. */
export class DatagramReceiver implements Disposable {
  readonly #fd: number;
  readonly #recv: (fd: number, buffer: Uint8Array, length: number, flags: number) => number;

  /** `address` is a path, or `@name` for an abstract one. */
  constructor(address: string) {
    const libc = koffi.load(null);
    const socket = libc.func('int socket(int domain, int type, int protocol)');
    const bind = libc.func('int bind(int fd, const void *address, uint32_t length)');
    this.#recv = libc.func('int64_t recv(int fd, void *buffer, size_t length, int flags)');
    this.#fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const family = new Uint8Array(new Uint16Array([AF_UNIX]).buffer);
    const name = Buffer.from(address.startsWith('@') ? `\0${address.slice(1)}` : `${address}\0`);
    const bytes = Buffer.concat([family, name]);
    if (bind(this.#fd, bytes, bytes.length) !== 0) throw new Error(`bind ${address}: errno ${koffi.errno()}`);
  }

  /** The next datagram that has arrived, if any. */
  receive(): string | undefined {
    const buffer = Buffer.alloc(4096);
    const length = this.#recv(this.#fd, buffer, buffer.length, 0);
    return length < 0 ? undefined : buffer.toString('utf8', 0, length);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
