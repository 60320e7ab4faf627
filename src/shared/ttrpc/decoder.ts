import { type Frame, type FrameHeader, frameHeaderLength, maxFrameData } from './frame.ts';

/** Where decoded frames go, in the order of their bytes. */
export interface FrameSink {
  frame(frame: Frame): void;
  /** A header that announces more than 4 MiB. Its data will be skipped, however many chunks that takes. */
  oversized(header: FrameHeader): void;
}

/** First size of a buffer for data that spans chunks; it grows with what has really arrived. */
const firstCapacity = 64 * 1024;

const noData = new Uint8Array();

/**
 * Makes frames of a byte stream, cut anywhere. Data within one chunk is handed on as a view of it; only data
 * that spans chunks is copied, into memory that never exceeds twice what has arrived: a peer that announces 4 MiB and sends
 * nothing costs nothing.
 */
export class FrameDecoder {
  readonly #sink: FrameSink;
  readonly #header = new Uint8Array(frameHeaderLength);
  #headerFilled = 0;
  /** The frame whose data is being collected. */
  #current: FrameHeader | undefined;
  #collected: Uint8Array = noData;
  #collectedLength = 0;
  /** Bytes of an oversized frame still to be dropped. */
  #toSkip = 0;
  #stopped = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** True between two frames: a stream that ends here ends cleanly. */
  get atBoundary(): boolean {
    return this.#headerFilled === 0 && this.#current === undefined && this.#toSkip === 0;
  }

  /** Hands on nothing any more, not even the rest of the chunk being decoded. */
  stop(): void {
    this.#stopped = true;
    this.#collected = noData;
  }

  push(chunk: Uint8Array): void {
    let offset = 0;
    while (offset < chunk.length && !this.#stopped) {
      if (this.#toSkip > 0) {
        const skipped = Math.min(this.#toSkip, chunk.length - offset);
        this.#toSkip -= skipped;
        offset += skipped;
      } else if (this.#current === undefined) {
        offset = this.#readHeader(chunk, offset);
      } else {
        offset = this.#readData(this.#current, chunk, offset);
      }
    }
  }

  #readHeader(chunk: Uint8Array, offset: number): number {
    const taken = Math.min(frameHeaderLength - this.#headerFilled, chunk.length - offset);
    if (taken === frameHeaderLength) {
      this.#startFrame(parseHeader(chunk, offset));
      return offset + taken;
    }
    this.#header.set(chunk.subarray(offset, offset + taken), this.#headerFilled);
    this.#headerFilled += taken;
    if (this.#headerFilled === frameHeaderLength) {
      this.#headerFilled = 0;
      this.#startFrame(parseHeader(this.#header, 0));
    }
    return offset + taken;
  }

  #startFrame(header: FrameHeader): void {
    if (header.length > maxFrameData) {
      this.#toSkip = header.length;
      this.#sink.oversized(header);
    } else if (header.length === 0) {
      this.#sink.frame({ ...header, data: noData });
    } else {
      this.#current = header;
    }
  }

  #readData(header: FrameHeader, chunk: Uint8Array, offset: number): number {
    const end = Math.min(offset + header.length - this.#collectedLength, chunk.length);
    if (this.#collectedLength === 0 && end - offset === header.length) {
      this.#finish(header, chunk.subarray(offset, end));
    } else {
      this.#collect(header, chunk.subarray(offset, end));
    }
    return end;
  }

  #collect(header: FrameHeader, part: Uint8Array): void {
    const filled = this.#collectedLength + part.length;
    if (filled > this.#collected.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(header.length, Math.max(firstCapacity, filled * 2)));
      grown.set(this.#collected.subarray(0, this.#collectedLength));
      this.#collected = grown;
    }
    this.#collected.set(part, this.#collectedLength);
    this.#collectedLength = filled;
    if (filled === header.length) this.#finish(header, this.#collected.subarray(0, filled));
  }

  #finish(header: FrameHeader, data: Uint8Array): void {
    this.#current = undefined;
    this.#collected = noData;
    this.#collectedLength = 0;
    this.#sink.frame({ length: header.length, stream: header.stream, type: header.type, flags: header.flags, data });
  }
}

function parseHeader(bytes: Uint8Array, at: number): FrameHeader {
  return {
    length: readUint32(bytes, at),
    stream: readUint32(bytes, at + 4),
    type: bytes[at + 8] ?? 0,
    flags: bytes[at + 9] ?? 0,
  };
}

function readUint32(bytes: Uint8Array, at: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}
