import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { TaskError } from '../shared/errors/index.ts';
import type { Trouble } from '../shared/health.ts';
import type { Logger } from '../shared/log/logger.ts';
import { spaceTrouble } from '../shared/util/free-space.ts';
import { encodeRecord } from './event-log-format.ts';
import { offsetOf, readRecords } from './event-log-read.ts';
import type { EventSegment } from './event-segment.ts';
import { type EventLogLimits, EventSegments } from './event-segments.ts';

/** At most 65,536 events and 16 MiB, and at least seven eighths of what both allow. */
const defaultLimits: EventLogLimits = {
  segmentEvents: 8192,
  segmentBytes: 2 * 1024 * 1024,
  segments: 8,
  bytes: 16 * 1024 * 1024,
};

/** Milliseconds since 1970 times this are the cursors of a log that begins then: more than any daemon publishes. */
const cursorsPerMillisecond = 1000;

export interface EventLogOptions {
  readonly logger: Logger;
  /** False after a power failure: what the files hold may have gaps. */
  readonly trusted: boolean;
  readonly limits?: Partial<EventLogLimits>;
  /** Milliseconds since 1970; for tests. */
  readonly now?: number;
}

/** Where a reader is: the event with `cursor` was its last. */
export interface LogPosition {
  readonly cursor: number;
  readonly segment?: EventSegment;
  readonly offset?: number;
}

export interface LogEntry {
  readonly cursor: number;
  readonly value: Uint8Array;
}

/**
 * The latest events, in files of which the oldest goes when there are too many. One `write` an event, so that it outlives
 * the process from then on, and no sync: after a power failure the log begins anew. Cursors go up by one from event to
 * event, over restarts too, and a log that begins anew begins above all that were ever given.
 */
export class EventLog {
  readonly #directory: string;
  readonly #logger: Logger;
  readonly #segments: EventSegments;
  #last: number;
  /** Why the latest event could not be written, and since when none can. */
  #failing: { readonly reason: string; readonly since: number } | undefined;
  #closed = false;

  /** Throws PERMISSION_DENIED and the like where the directory cannot be used. */
  static open(directory: string, options: EventLogOptions): EventLog {
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      return new EventLog(directory, options);
    } catch (error) {
      throw TaskError.from(error, `open the events in ${directory}`);
    }
  }

  private constructor(directory: string, { logger, trusted, limits, now = Date.now() }: EventLogOptions) {
    this.#directory = directory;
    const allowed = { ...defaultLimits, ...limits };
    this.#segments = new EventSegments(directory, allowed);
    this.#logger = logger;
    this.#last = now * cursorsPerMillisecond;
    const found = this.#segments.find();
    if (trusted) this.#adopt(found);
    if (this.#segments.first === undefined && found.length > 0) {
      logger.warn('kept events dropped', { directory, reason: trusted ? 'damaged' : 'power failure' });
      // The clock may have been set back; cursors must not be.
      this.#last = Math.max(this.#last, ...found.map(({ first }) => first + allowed.segmentEvents));
      this.#segments.setAside(found);
    }
  }

  /** Cursor of the latest event; the next one's is one more. */
  get last(): number {
    return this.#last;
  }

  /** Readers at this cursor and above miss nothing. */
  get before(): number {
    const { first } = this.#segments;
    return first === undefined ? this.#last : first - 1;
  }

  /** What is kept, for whoever watches over the disk. */
  get size(): { readonly events: number; readonly bytes: number } {
    return { events: this.#last - this.before, bytes: this.#segments.bytes };
  }

  /** Degraded from an event that could not be written to one that can be: those before are not kept then. */
  get trouble(): Trouble | undefined {
    if (this.#failing === undefined || this.#closed) return undefined;
    const { reason, since } = this.#failing;
    // There may be room again, and no event came since.
    if (spaceTrouble(this.#directory) === undefined && this.#canBegin()) return undefined;
    return { state: 'degraded', reason: `events are not kept in ${this.#directory}: ${reason}`, since };
  }

  /**
   * Adds an event and answers its cursor. Never throws: where it cannot be written, it and all before it are forgotten, so
   * that nobody who reads on later takes what is left for everything.
   */
  append(value: Uint8Array): number {
    this.#last += 1;
    if (this.#closed) return this.#last;
    try {
      this.#segments.append(this.#last, encodeRecord(value), value.length);
      this.#failing = undefined;
    } catch (error) {
      const reason = String(error);
      if (!this.#failing) this.#logger.error('event not kept', { directory: this.#directory, error: reason });
      this.#failing = { reason, since: this.#failing?.since ?? Date.now() };
      this.#segments.forget();
    }
    return this.#last;
  }

  /**
   * The next events after a position, and the position after them; none at the end.
   * Throws OUT_OF_RANGE where the next event is not kept any more.
   */
  read(from: LogPosition): { readonly entries: readonly LogEntry[]; readonly next: LogPosition } {
    this.assertKept(from.cursor);
    if (from.cursor >= this.#last) return { entries: [], next: from };
    const { segment, offset } = this.#placeAfter(from);
    const { bytes, values, consumed } = readRecords(segment, offset, this.#segments.openFile(segment));
    if (values.length === 0) {
      throw new TaskError('DATA_LOSS', `the kept events in ${segment.file} are damaged at byte ${offset + bytes}`);
    }
    const entries = values.map((value, i) => ({ cursor: from.cursor + 1 + i, value }));
    return { entries, next: { cursor: from.cursor + values.length, segment, offset: offset + consumed } };
  }

  /** Throws OUT_OF_RANGE, with what to do, where the event after `cursor` is not kept any more. */
  assertKept(cursor: number): void {
    if (cursor >= this.before) return;
    throw new TaskError(
      'OUT_OF_RANGE',
      `the events after cursor ${cursor} are not kept any more, only those after ${this.before}: list the tasks and go on from now`,
    );
  }

  /** Puts everything on the disk: after an ordered end even a power failure loses nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#segments.close();
    } catch (error) {
      this.#logger.error('events not on the disk', { directory: this.#directory, error: String(error) });
    }
  }

  /** Takes over what is there: all of it, or nothing. */
  #adopt(found: readonly EventSegment[]): void {
    try {
      this.#last = this.#segments.adopt(found) ?? this.#last;
    } catch (error) {
      this.#logger.debug('kept events not usable', { directory: this.#directory, error: String(error) });
    }
  }

  /** Makes the file that the next event begins. */
  #canBegin(): boolean {
    try {
      this.#last += 1;
      this.#segments.begin(this.#last, 0);
      this.#failing = undefined;
      return true;
    } catch {
      this.#segments.forget();
      return false;
    } finally {
      this.#last -= 1;
    }
  }

  #placeAfter(from: LogPosition): { readonly segment: EventSegment; readonly offset: number } {
    const { segment, offset, cursor } = from;
    if (segment !== undefined && offset !== undefined && cursor + 1 < segment.first + segment.count) {
      return { segment, offset };
    }
    const found = this.#segments.with(cursor + 1);
    return { segment: found, offset: offsetOf(found, cursor + 1 - found.first, this.#segments.openFile(found)) };
  }
}

/** Where a root directory's events are. */
export function eventLogDirectory(metadataDirectory: string): string {
  return path.join(metadataDirectory, 'events');
}
