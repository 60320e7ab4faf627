import type { TailEvent } from './event-tail.ts';

const maxEvents = 256;
const maxBytes = 1024 * 1024;

/** The newest events, in memory: who follows reads no file, and goes on where the disk is full. */
export class RecentEvents {
  #events: TailEvent[] = [];
  #bytes = 0;

  /** Its cursor is one above that of the event before. */
  add(event: TailEvent): void {
    this.#events.push(event);
    this.#bytes += sizeOf(event);
    while (this.#events.length > maxEvents || this.#bytes > maxBytes) {
      const oldest = this.#events.shift();
      if (oldest === undefined) return;
      this.#bytes -= sizeOf(oldest);
    }
  }

  /** All events after `cursor`; undefined where they are not all here, or there are none. */
  after(cursor: number): TailEvent[] | undefined {
    const first = this.#events[0]?.cursor;
    if (first === undefined || cursor + 1 < first) return undefined;
    const events = this.#events.slice(cursor + 1 - first);
    return events.length === 0 ? undefined : events;
  }
}

function sizeOf({ envelope }: TailEvent): number {
  return envelope.event.value.length;
}
