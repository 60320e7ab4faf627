import { closeSync, fstatSync, ftruncateSync, openSync, readSync, statSync } from 'node:fs';
import path from 'node:path';
import { decodeRecords, headerLength, readHeader } from './event-log-format.ts';

/** Cursors have as many digits as the largest safe integer: names sort as the numbers do. */
const digits = 16;
const scanBytes = 256 * 1024;

/** One file of events. */
export class EventSegment {
  readonly file: string;
  /** Cursor of its first event. */
  readonly first: number;
  #count = 0;
  /** Bytes. */
  #length = headerLength;

  /** A segment that is to be made. */
  static at(directory: string, first: number): EventSegment {
    return new EventSegment(path.join(directory, `${String(first).padStart(digits, '0')}.log`), first);
  }

  /** A segment by the name of its file; undefined where that is none's. */
  static of(directory: string, name: string): EventSegment | undefined {
    const first = /^(\d{16})\.log$/.exec(name)?.[1];
    return first === undefined ? undefined : new EventSegment(path.join(directory, name), Number(first));
  }

  private constructor(file: string, first: number) {
    this.file = file;
    this.first = first;
  }

  get count(): number {
    return this.#count;
  }

  get length(): number {
    return this.#length;
  }

  /** An event was added. */
  grow(bytes: number): void {
    this.#count += 1;
    this.#length += bytes;
  }

  /** It ends where the next one begins: its records need not be looked at. Throws where the file is not what its name says. */
  closeAt(nextFirst: number): void {
    const fd = openSync(this.file, 'r');
    try {
      this.#checkHeader(fd);
    } finally {
      closeSync(fd);
    }
    this.#count = nextFirst - this.first;
    this.#length = statSync(this.file).size;
  }

  /** Counts the records of the newest file and cuts off one that was torn. Throws where the file is not what its name says. */
  scan(fd: number): void {
    this.#checkHeader(fd);
    for (let size = scanBytes; ; ) {
      const chunk = Buffer.allocUnsafe(size);
      const { values, consumed, wanted } = decodeRecords(
        chunk.subarray(0, readSync(fd, chunk, 0, chunk.length, this.#length)),
      );
      this.#count += values.length;
      this.#length += consumed;
      if (values.length > 0) size = scanBytes;
      else if (wanted > size && this.#length + wanted <= fstatSync(fd).size) size = wanted;
      else break;
    }
    ftruncateSync(fd, this.#length);
  }

  #checkHeader(fd: number): void {
    const header = Buffer.alloc(headerLength);
    readSync(fd, header, 0, headerLength, 0);
    if (readHeader(header) !== this.first) throw new Error(`${this.file} begins with another event than its name says`);
  }
}
