/** Milliseconds between two tries. */
const pause = 1000;

/** Writes that a full disk refused, tried again until there is room. */
export class Retries {
  /** By what they write: a later one takes the place of an earlier one. No more than there are processes and sandboxes. */
  readonly #writes = new Map<string, () => void>();
  #timer: NodeJS.Timeout | undefined;

  get size(): number {
    return this.#writes.size;
  }

  has(key: string): boolean {
    return this.#writes.has(key);
  }

  /** `write` throws for as long as it is refused. */
  add(key: string, write: () => void): void {
    this.#writes.set(key, write);
    this.#timer ??= setTimeout(() => this.#again(), pause);
  }

  delete(key: string): void {
    this.#writes.delete(key);
  }

  /** A last try. */
  close(): void {
    this.#again();
    clearTimeout(this.#timer);
    this.#writes.clear();
  }

  #again(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [key, write] of this.#writes) {
      try {
        write();
      } catch {
        // The others would be refused as well.
        this.#timer = setTimeout(() => this.#again(), pause);
        return;
      }
      this.#writes.delete(key);
    }
  }
}
