import type { TaskError } from '../errors/index.ts';
import { BoundedQueue } from '../util/bounded-queue.ts';
import { messageOverhead, streamCapacity } from './limits.ts';

/** What a client sends on one stream, until it closes its side or the call is cut off. */
export class RequestStream {
  readonly #queue = new BoundedQueue<Uint8Array>(streamCapacity);

  get messages(): AsyncIterableIterator<Uint8Array> {
    return this.#queue;
  }

  get ended(): boolean {
    return this.#queue.ended;
  }

  /** False where the stream has ended or too much is unread. */
  push(message: Uint8Array): boolean {
    return this.#queue.push(message, message.length + messageOverhead);
  }

  end(reason?: TaskError): void {
    this.#queue.end(reason);
  }
}
