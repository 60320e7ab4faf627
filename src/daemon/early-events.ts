/**
 * Holds what shims forward before there is a supervisor to receive it: the endpoint has to answer them from the moment
 * adoption begins. Bounded: beyond that the oldest are dropped, since every exit is also learnt from the shim itself.
 */
export class EarlyEvents<T> {
  readonly #capacity: number;
  #held: T[] = [];
  #receive: ((event: T) => void) | undefined;

  constructor(capacity = 10_000) {
    this.#capacity = capacity;
  }

  take(event: T): void {
    if (this.#receive !== undefined) {
      this.#receive(event);
      return;
    }
    if (this.#held.length >= this.#capacity) this.#held.shift();
    this.#held.push(event);
  }

  /** Hands on what was held, in its order, and from now on everything at once. */
  deliverTo(receive: (event: T) => void): void {
    const held = this.#held;
    this.#held = [];
    this.#receive = receive;
    for (const event of held) receive(event);
  }
}
