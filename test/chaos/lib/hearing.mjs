/** How long after an exit was told to a caller its event may come, in milliseconds: the daemon holds none over one second. */
const eventGrace = 3000;

/** When somebody listened for events, from the first that came until the stream broke. */
export class Hearing {
  #spans = [];
  #now;

  /** `now` answers milliseconds since 1970. */
  constructor(now) {
    this.#now = now;
  }

  /** The subscription stands: an event came through it. */
  listening() {
    const last = this.#spans.at(-1);
    if (last === undefined || last.until !== undefined) this.#spans.push({ from: this.#now(), until: undefined });
  }

  /** The subscription is broken: what happens now may be told to nobody. */
  deaf() {
    const last = this.#spans.at(-1);
    if (last !== undefined) last.until ??= this.#now();
  }

  /** Somebody listened from before this was asked for until long after its exit was told. */
  covers({ since, reportedAt }) {
    return this.#spans.some(({ from, until }) => from <= since && (until ?? Infinity) >= reportedAt + eventGrace);
  }
}
