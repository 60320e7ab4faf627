import { closeSync, openSync, readSync } from 'node:fs';
import { TaskError } from '../shared/errors/index.ts';
import { decodeRecords, headerLength } from './event-log-format.ts';
import type { EventSegment } from './event-segment.ts';

/** Bytes that are read from a file at a time. */
const chunkBytes = 64 * 1024;

/** The next records of a segment from `offset` on, as far as one read gets; `open` is its descriptor, where it has one. */
export function readRecords(
  segment: EventSegment,
  offset: number,
  open: number | undefined,
): ReturnType<typeof decodeRecords> & { readonly bytes: number } {
  const fd = open ?? openSync(segment.file, 'r');
  try {
    const read = (length: number) => {
      const chunk = Buffer.allocUnsafe(Math.min(length, segment.length - offset));
      return chunk.subarray(0, readSync(fd, chunk, 0, chunk.length, offset));
    };
    let chunk = read(chunkBytes);
    const records = decodeRecords(chunk);
    if (records.values.length > 0 || records.wanted <= chunk.length) return { ...records, bytes: chunk.length };
    // A record that is longer than a chunk.
    chunk = read(records.wanted);
    return { ...decodeRecords(chunk), bytes: chunk.length };
  } finally {
    if (open === undefined) closeSync(fd);
  }
}

/**
 * Where the record number `index` of a segment begins: read from the beginning, as a reader does once.
 * Throws DATA_LOSS where the file ends before.
 */
export function offsetOf(segment: EventSegment, index: number, open: number | undefined): number {
  let offset = headerLength;
  for (let left = index; left > 0; ) {
    const { values, ends } = readRecords(segment, offset, open);
    if (values.length === 0) throw new TaskError('DATA_LOSS', `the kept events in ${segment.file} are damaged`);
    const taken = Math.min(left, values.length);
    offset += ends[taken - 1] ?? 0;
    left -= taken;
  }
  return offset;
}
