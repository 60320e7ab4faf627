import type { Table } from './environment.ts';

/** A range of keys, as `rangeOf` makes it: with `start`, without `end`. */
export interface KeyRange {
  readonly start: Buffer;
  readonly end: Buffer;
}

/** The tables as they will be after all changes before this one, for whoever makes it. */
export interface Change {
  get(table: Table, key: Buffer): Buffer | undefined;
  /** In no order; not to be written to meanwhile. */
  keys(table: Table, range: KeyRange): Iterable<Buffer>;
  put(table: Table, key: Buffer, value: Buffer): void;
  remove(table: Table, key: Buffer): void;
}

interface Write {
  readonly table: Table;
  readonly key: Buffer;
  /** Absent where the key is removed. */
  readonly value?: Buffer;
}

/** What shall be written, over `below` or, without it, over what the tables hold. */
export class WriteSet implements Change {
  readonly #below: WriteSet | undefined;
  readonly #writes = new Map<Table, Map<string, Write>>();
  #bytes = 0;

  constructor(below?: WriteSet) {
    this.#below = below;
  }

  get isEmpty(): boolean {
    return this.#writes.size === 0;
  }

  /** Of all values that are put, about. */
  get bytes(): number {
    return this.#bytes;
  }

  get(table: Table, key: Buffer): Buffer | undefined {
    const write = this.#writes.get(table)?.get(nameOf(key));
    if (write !== undefined) return write.value;
    return this.#below ? this.#below.get(table, key) : table.get(key);
  }

  *keys(table: Table, range: KeyRange): Generator<Buffer, void, undefined> {
    const own = this.#writes.get(table);
    for (const key of this.#below ? this.#below.keys(table, range) : table.getKeys(range)) {
      if (!own?.has(nameOf(key))) yield key;
    }
    for (const { key, value } of own?.values() ?? []) {
      if (value !== undefined && range.start.compare(key) <= 0 && range.end.compare(key) > 0) yield key;
    }
  }

  put(table: Table, key: Buffer, value: Buffer): void {
    this.#bytes += value.length;
    this.#write({ table, key, value });
  }

  remove(table: Table, key: Buffer): void {
    this.#write({ table, key });
  }

  *writes(): Generator<Write, void, undefined> {
    for (const writes of this.#writes.values()) yield* writes.values();
  }

  /** Takes over what another one, made over this one, would write. */
  add(other: WriteSet): void {
    for (const write of other.writes()) this.#write(write);
    this.#bytes += other.bytes;
  }

  #write(write: Write): void {
    let writes = this.#writes.get(write.table);
    if (writes === undefined) {
      writes = new Map();
      this.#writes.set(write.table, writes);
    }
    writes.set(nameOf(write.key), write);
  }
}

/** A key as a string that no other key has. */
function nameOf(key: Buffer): string {
  return key.toString('latin1');
}
