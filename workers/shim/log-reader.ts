import type { Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { deadlineExceeded } from '../../src/shared/errors/index.ts';
import type { ShimLogPart, ShimLogPlace, ShimLogStart } from '../../src/shared/messages/index.ts';

/** Bytes of one part, and of one look backward. */
const partBytes = 64 << 10;
/** What is dropped of a log is dropped in pages. */
const page = 4096;
const emptyPage = Buffer.alloc(page);
const newline = 0x0a;

/** Which file it is, for who comes back to it. */
function identityOf({ dev, ino }: Stats): string {
  return `${dev}:${ino}`;
}

/** What `LogReader.read` found, and whether there is any use in waiting for more. */
export type LogRead = Omit<ShimLogPart, 'removed'> & { readonly unlinked: boolean };

/**
 * Reads one open log, a part at a time and never more than that in memory, however long it is. Its older part may be a hole, or
 * become one meanwhile: the zeros there are no text, and are left out.
 */
export class LogReader {
  readonly #file: FileHandle;
  readonly #deadline: number;

  /** `deadline`, in milliseconds since 1970, ends a look backward through a log that was never shortened. */
  constructor(file: FileHandle, deadline: number) {
    this.#file = file;
    this.#deadline = deadline;
  }

  /** The part that begins there; an empty one at the end. */
  async read(from: ShimLogStart): Promise<LogRead> {
    const found = await this.#file.stat();
    const { size } = found;
    const place = await this.#placeOf(from, found);
    if (place.offset >= size) return this.#part(Buffer.alloc(0), { ...place, size, found });
    const content = await this.#bytes(place.offset, Math.min(partBytes, size - place.offset));
    const zeros = content.findIndex((byte) => byte !== 0);
    if (zeros === 0) return this.#part(content, { ...place, size, found });
    // It is behind: what it was to read was dropped, at least to here.
    const passed = place.offset + (zeros > 0 ? zeros : content.length);
    const kept = zeros > 0 ? passed : Math.max(passed, (await this.#lastLines(size, {})).offset);
    const rest = await this.#bytes(kept, Math.min(partBytes, size - kept));
    return this.#part(rest, { offset: kept, dropped: true, size, found });
  }

  #part(
    content: Buffer,
    where: { readonly offset: number; readonly dropped: boolean; readonly size: number; readonly found: Stats },
  ): LogRead {
    const { offset, dropped, size, found } = where;
    const next: ShimLogPlace = { file: identityOf(found), offset: offset + content.length };
    return { content, dropped, next, end: size, unlinked: found.nlink === 0 };
  }

  async #placeOf(from: ShimLogStart, found: Stats): Promise<{ offset: number; dropped: boolean }> {
    if (from.kind === 'tail') return this.#lastLines(found.size, from);
    const { file, offset } = from.place;
    // Another file, or one that was cut: it begins anew.
    if (file !== identityOf(found) || offset > found.size) return { offset: 0, dropped: true };
    return { offset, dropped: false };
  }

  /**
   * Where the last lines begin: a whole line, unless `bytes` cuts one. Goes backward to there, or to the hole, and keeps
   * nothing of what it sees.
   */
  async #lastLines(
    size: number,
    tail: { readonly lines?: number | undefined; readonly bytes?: number | undefined },
  ): Promise<{ offset: number; dropped: boolean }> {
    const { lines = Number.POSITIVE_INFINITY, bytes = size } = tail;
    const floor = Math.max(0, size - bytes);
    if (lines === 0 || floor === size) return { offset: size, dropped: false };
    let seen = 0;
    let firstLine: number | undefined;
    for (let end = size; end > floor; ) {
      if (Date.now() >= this.#deadline) throw deadlineExceeded(`looking for the last lines of a log of ${size} bytes`);
      // From page to page: so a hole fills whole ones.
      const begin = Math.max(floor, Math.floor((end - 1) / partBytes) * partBytes);
      const chunk = await this.#bytes(begin, end - begin);
      const hole = endOfHole(chunk, begin);
      for (let at = chunk.length - 1; at >= hole; at -= 1) {
        // The one at the very end ends the last line and begins none.
        if (chunk[at] !== newline || begin + at === size - 1) continue;
        seen += 1;
        firstLine = begin + at + 1;
        if (seen >= lines) return { offset: firstLine, dropped: false };
      }
      // The line that the hole cuts is no use.
      if (hole > 0) return { offset: firstLine ?? begin + hole, dropped: true };
      end = begin;
    }
    return { offset: floor, dropped: false };
  }

  async #bytes(offset: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length);
    const { bytesRead } = await this.#file.read(buffer, 0, length, offset);
    return buffer.subarray(0, bytesRead);
  }
}

/** Where in `chunk`, which begins at `begin` in its file, the last page of nothing ends; 0 where there is none. */
function endOfHole(chunk: Buffer, begin: number): number {
  const lastPage = Math.floor((begin + chunk.length) / page) * page - begin;
  for (let end = lastPage; end - page >= 0; end -= page) {
    if (chunk.subarray(end - page, end).equals(emptyPage)) return end;
  }
  return 0;
}
