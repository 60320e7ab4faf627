/*
 * A file of events:
 *
 *     header    8 bytes "shimdev1", 8 bytes cursor of the first event
 *     record    4 bytes length of the value, 4 bytes checksum of it, the value
 *
 * Numbers are big endian. Records lie one after the other and have no numbers of their own. A record is written by one
 * call; one that was cut short ends the file.
 */

const magic = Buffer.from('shimdev1');
export const headerLength = 16;
const recordHeaderLength = 8;

export function encodeHeader(first: number): Buffer {
  const header = Buffer.alloc(headerLength);
  magic.copy(header);
  header.writeBigUInt64BE(BigInt(first), magic.length);
  return header;
}

/** The cursor of the first event. Throws where the bytes are no header. */
export function readHeader(bytes: Buffer): number {
  if (bytes.length < headerLength || !bytes.subarray(0, magic.length).equals(magic)) {
    throw new Error('it is no file of events');
  }
  return Number(bytes.readBigUInt64BE(magic.length));
}

export function encodeRecord(value: Uint8Array): Buffer {
  const record = Buffer.allocUnsafe(recordHeaderLength + value.length);
  record.writeUInt32BE(value.length, 0);
  record.writeUInt32BE(checksum(value), 4);
  record.set(value, recordHeaderLength);
  return record;
}

export interface Records {
  /** The whole and sound ones at the beginning of the bytes; views. */
  readonly values: readonly Uint8Array[];
  /** Where each of them ends. */
  readonly ends: readonly number[];
  /** Where the last of them ends. */
  readonly consumed: number;
  /** Bytes that are needed, from the beginning, for the first one; only where there is none. */
  readonly wanted: number;
}

export function decodeRecords(bytes: Buffer): Records {
  const values: Uint8Array[] = [];
  const ends: number[] = [];
  let at = 0;
  while (at + recordHeaderLength <= bytes.length) {
    const end = at + recordHeaderLength + bytes.readUInt32BE(at);
    if (end > bytes.length) break;
    const value = bytes.subarray(at + recordHeaderLength, end);
    if (checksum(value) !== bytes.readUInt32BE(at + 4)) break;
    values.push(value);
    ends.push(end);
    at = end;
  }
  const wanted = bytes.length >= recordHeaderLength ? recordHeaderLength + bytes.readUInt32BE(0) : recordHeaderLength;
  return { values, ends, consumed: at, wanted };
}

/** FNV-1a: tells a whole record from one that was torn, not from one that somebody forged. */
function checksum(value: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of value) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
