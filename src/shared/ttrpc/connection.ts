import type { Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { unavailable } from '../errors/index.ts';
import { type Deferred, deferred } from '../util/deferred.ts';
import { FrameDecoder, type FrameSink } from './decoder.ts';
import { encodeFrame, type OutgoingFrame } from './encoder.ts';

/** Unsent bytes above which a connection counts as congested. */
const congestedAt = 1024 * 1024;

export interface ConnectionHandlers extends FrameSink {
  /** Called once, with the first reason. Nothing else is called after it. */
  closed(reason: Error): void;
}

/**
 * Frames over one socket, for either side. Frames sent within one turn of the event loop leave in one write.
 * The socket belongs to it.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #name: string;
  readonly #handlers: ConnectionHandlers;
  readonly #decoder: FrameDecoder;
  #corked = false;
  /** Its side of the socket has ended: a write would be an error of the socket. */
  #ending = false;
  #closed = false;
  #drained: Deferred<void> | undefined;

  /** `name` says in error messages what is at the other end. */
  constructor(socket: Socket, name: string, handlers: ConnectionHandlers) {
    this.#socket = socket;
    this.#name = name;
    this.#handlers = handlers;
    this.#decoder = new FrameDecoder(handlers);
    socket.on('data', (chunk) => this.#decoder.push(chunk));
    socket.on('drain', () => this.#settleDrained());
    socket.on('error', (error) => this.#close(unavailable(`connection to ${name} failed: ${error.message}`, error)));
    socket.on('end', () => this.#close(unavailable(this.#endMessage())));
    socket.on('close', () => this.#close(unavailable(`connection to ${name} closed`)));
  }

  get isOpen(): boolean {
    return !this.#closed;
  }

  /** True while more is waiting to be sent than the peer takes. */
  get congested(): boolean {
    return !this.#closed && this.#socket.writableLength > congestedAt;
  }

  /** Resolves when everything written so far is with the kernel, or the connection is closed. */
  drained(): Promise<void> {
    if (this.#closed || !this.#socket.writableNeedDrain) return Promise.resolve();
    this.#drained ??= deferred<void>();
    return this.#drained.promise;
  }

  /** Throws RESOURCE_EXHAUSTED where the data is over 4 MiB; on a closed connection it does nothing. */
  send(frame: OutgoingFrame): void {
    const parts = encodeFrame(frame);
    if (this.#closed || this.#ending) return;
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    for (const part of parts) this.#socket.write(part);
  }

  pauseReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    if (!this.#closed) this.#socket.resume();
  }

  /** Closes at once: what is unsent is lost. */
  destroy(reason: Error): void {
    this.#close(reason);
  }

  /**
   * Sends what is left, and what is sent within this turn of the event loop, for at most `grace` milliseconds, then closes.
   * Nothing is read any more.
   */
  async end(reason: Error, grace: number): Promise<void> {
    this.#decoder.stop();
    await setImmediate();
    if (this.#closed || this.#ending) return;
    this.#ending = true;
    // Data that nobody reads would keep the peer's end from being seen.
    this.#socket.resume();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, grace);
      this.#socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      this.#socket.end(() => {
        clearTimeout(timer);
        resolve();
      });
    });
    this.#close(reason);
  }

  #close(reason: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#decoder.stop();
    this.#socket.destroy();
    this.#settleDrained();
    this.#handlers.closed(reason);
  }

  #settleDrained(): void {
    this.#drained?.resolve();
    this.#drained = undefined;
  }

  #endMessage(): string {
    const where = this.#decoder.atBoundary ? '' : ' in the middle of a frame';
    return `connection to ${this.#name} closed by the peer${where}`;
  }
}
