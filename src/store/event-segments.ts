import { closeSync, fdatasyncSync, openSync, readdirSync, renameSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { encodeHeader, headerLength } from './event-log-format.ts';
import { EventSegment } from './event-segment.ts';

export interface EventLogLimits {
  /** Events in one file. */
  readonly segmentEvents: number;
  /** Bytes in one file; one event may be longer. */
  readonly segmentBytes: number;
  /** Files; the oldest goes when there would be more. */
  readonly segments: number;
  /** Bytes in all files together, as far as more than the newest one are kept. */
  readonly bytes: number;
}

/** The files of a log in one directory, oldest first: the newest is written to, the oldest goes when there are too many. */
export class EventSegments {
  readonly #directory: string;
  readonly #limits: EventLogLimits;
  #segments: EventSegment[] = [];
  /** Of the newest segment; undefined where the next event begins one. */
  #fd: number | undefined;

  constructor(directory: string, limits: EventLogLimits) {
    this.#directory = directory;
    this.#limits = limits;
  }

  /** Cursor of the oldest event; undefined where there are no files. */
  get first(): number | undefined {
    return this.#segments[0]?.first;
  }

  get bytes(): number {
    return this.#segments.reduce((sum, { length }) => sum + length, 0);
  }

  /** The segments in the directory by their first cursors, whatever is in them. */
  find(): EventSegment[] {
    return readdirSync(this.#directory)
      .flatMap((name) => EventSegment.of(this.#directory, name) ?? [])
      .toSorted((one, other) => one.first - other.first);
  }

  /**
   * Takes over what was found, and answers the cursor of the latest event; undefined where there are no files.
   * Throws, and takes nothing, where one file does not follow on the other.
   */
  adopt(found: readonly EventSegment[]): number | undefined {
    const newest = found.at(-1);
    if (newest === undefined) return undefined;
    for (const [i, segment] of found.entries()) {
      const next = found[i + 1];
      if (next !== undefined) segment.closeAt(next.first);
    }
    const fd = openSync(newest.file, 'r+');
    try {
      newest.scan(fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    this.#segments = [...found];
    this.#fd = fd;
    return newest.first + newest.count - 1;
  }

  /** Keeps the last files that cannot be used for whoever wants to look, and takes them out of the way. */
  setAside(found: readonly EventSegment[]): void {
    for (const name of readdirSync(this.#directory)) {
      if (name.endsWith('.log.old')) rmSync(path.join(this.#directory, name), { force: true });
    }
    for (const { file } of found) renameSync(file, `${file}.old`);
  }

  /** Writes a record as the event with `cursor`. `length` is that of its event. */
  append(cursor: number, record: Uint8Array, length: number): void {
    const segment = this.begin(cursor, length);
    if (this.#fd === undefined) throw new Error('the file is closed');
    const written = writeSync(this.#fd, record, 0, record.length, segment.length);
    if (written < record.length) throw new Error(`only ${written} of ${record.length} bytes were written`);
    segment.grow(record.length);
  }

  /** The segment for the event with `cursor`, of so many bytes: a new one where the newest is full. */
  begin(cursor: number, bytes: number): EventSegment {
    const newest = this.#segments.at(-1);
    const { segmentEvents, segmentBytes } = this.#limits;
    const isFull =
      newest === undefined ||
      newest.count >= segmentEvents ||
      (newest.count > 0 && newest.length + bytes > segmentBytes);
    if (!isFull && this.#fd !== undefined) return newest;
    this.#end();
    const segment = EventSegment.at(this.#directory, cursor);
    const fd = openSync(segment.file, 'w+', 0o600);
    this.#fd = fd;
    this.#segments.push(segment);
    writeSync(fd, encodeHeader(segment.first), 0, headerLength, 0);
    this.#trim(bytes);
    return segment;
  }

  /** The segment that has the event with `cursor`. */
  with(cursor: number): EventSegment {
    const found = this.#segments.findLast(({ first }) => first <= cursor);
    if (found === undefined) throw new Error(`no file has event ${cursor}`);
    return found;
  }

  /** The descriptor of a segment, where it is the one that is written to. */
  openFile(segment: EventSegment): number | undefined {
    return segment === this.#segments.at(-1) ? this.#fd : undefined;
  }

  /** Removes all that is kept. */
  forget(): void {
    this.#end();
    for (const { file } of this.#segments.splice(0)) rmSync(file, { force: true });
  }

  /** Puts everything on the disk. */
  close(): void {
    this.#end();
    for (const { file } of this.#segments) syncFile(file);
  }

  /** Makes room for `bytes` more. */
  #trim(bytes: number): void {
    const { segments, bytes: most } = this.#limits;
    let total = this.bytes + bytes;
    for (
      let oldest = this.#segments[0];
      oldest !== undefined && this.#segments.length > 1;
      oldest = this.#segments[0]
    ) {
      if (this.#segments.length <= segments && total <= most) return;
      total -= oldest.length;
      this.#segments.shift();
      rmSync(oldest.file, { force: true });
    }
  }

  #end(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

function syncFile(file: string): void {
  const fd = openSync(file, 'r');
  try {
    fdatasyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
