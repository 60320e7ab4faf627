/**
 * A queue with a capacity and one reader, an `AsyncIterableIterator`. Items put before the end are read before the end
 * is; the first end wins. Whoever leaves the loop ends the queue.
 */
export class BoundedQueue<T> implements AsyncIterableIterator<T> {
  readonly #capacity: number;
  readonly #onEnd: (() => void) | undefined;
  #items: { readonly item: T; readonly size: number }[] = [];
  /** Index of the first unread item: shifting an array is linear. */
  #head = 0;
  #size = 0;
  #ended = false;
  #error: Error | undefined;
  #readers: { resolve(result: IteratorResult<T, undefined>): void; reject(error: Error): void }[] = [];

  /** `capacity` is in the unit of `push`'s size. `onEnd` is called once, at the end for whatever reason. */
  constructor(capacity: number, onEnd?: () => void) {
    this.#capacity = capacity;
    this.#onEnd = onEnd;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** False where the item has no room (one item of any size fits an empty queue) or the queue has ended. */
  push(item: T, size = 1): boolean {
    if (this.#ended) return false;
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      reader.resolve({ done: false, value: item });
      return true;
    }
    if (this.#size > 0 && this.#size + size > this.#capacity) return false;
    this.#items.push({ item, size });
    this.#size += size;
    return true;
  }

  /** Ends the queue, with `error` thrown to the reader once the items are read. Nothing after the first call. */
  end(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    for (const reader of this.#readers.splice(0)) this.#settle(reader);
    this.#onEnd?.();
  }

  /** Ends the queue and drops what is unread, so that `error` is the next thing read. */
  cut(error?: Error): void {
    if (!this.#ended) this.#drop();
    this.end(error);
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const entry = this.#items[this.#head];
    if (entry !== undefined) {
      this.#head += 1;
      this.#size -= entry.size;
      this.#compact();
      return Promise.resolve({ done: false, value: entry.item });
    }
    return new Promise((resolve, reject) => {
      const reader = { resolve, reject };
      if (this.#ended) this.#settle(reader);
      else this.#readers.push(reader);
    });
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#drop();
    this.#error = undefined;
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** An error is told once; after it the queue is just done. */
  #settle(reader: { resolve(result: IteratorResult<T, undefined>): void; reject(error: Error): void }): void {
    const error = this.#error;
    this.#error = undefined;
    if (error === undefined) reader.resolve({ done: true, value: undefined });
    else reader.reject(error);
  }

  #compact(): void {
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head >= 1024 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }

  #drop(): void {
    this.#items = [];
    this.#head = 0;
    this.#size = 0;
  }
}
