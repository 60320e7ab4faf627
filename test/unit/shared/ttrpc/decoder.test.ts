import { describe, expect, test } from 'vitest';
import { FrameDecoder } from '../../../../src/shared/ttrpc/decoder.ts';
import { encodeFrame } from '../../../../src/shared/ttrpc/encoder.ts';
import { describeFrame, type FrameHeader, maxFrameData } from '../../../../src/shared/ttrpc/frame.ts';

interface Seen {
  readonly stream: number;
  readonly type: number;
  readonly flags: number;
  readonly data: string;
}

function decode(chunks: Iterable<Uint8Array>): { frames: Seen[]; oversized: FrameHeader[]; clean: boolean } {
  const frames: Seen[] = [];
  const oversized: FrameHeader[] = [];
  const decoder = new FrameDecoder({
    frame: ({ stream, type, flags, data }) =>
      frames.push({ stream, type, flags, data: Buffer.from(data).toString('hex') }),
    oversized: (header) => oversized.push(header),
  });
  for (const chunk of chunks) decoder.push(chunk);
  return { frames, oversized, clean: decoder.atBoundary };
}

function frame(stream: number, type: number, flags: number, data: Uint8Array): Buffer {
  return Buffer.concat(encodeFrame({ stream, type, flags, data }));
}

/** The header alone, whatever it claims. */
function header(length: number, stream: number, type: number, flags = 0): Buffer {
  const bytes = Buffer.alloc(10);
  bytes.writeUInt32BE(length, 0);
  bytes.writeUInt32BE(stream, 4);
  bytes[8] = type;
  bytes[9] = flags;
  return bytes;
}

/** A small generator with a seed (mulberry32): a failure can be repeated. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

const stream = Buffer.concat([
  frame(1, 1, 0, Buffer.from('first')),
  frame(3, 2, 0, Buffer.alloc(0)),
  frame(0xffff_ffff, 3, 5, Buffer.from([0, 1, 2, 255])),
  frame(5, 1, 2, Buffer.from('last')),
]);

const expected: Seen[] = [
  { stream: 1, type: 1, flags: 0, data: Buffer.from('first').toString('hex') },
  { stream: 3, type: 2, flags: 0, data: '' },
  { stream: 0xffff_ffff, type: 3, flags: 5, data: '000102ff' },
  { stream: 5, type: 1, flags: 2, data: Buffer.from('last').toString('hex') },
];

describe('a stream of frames decodes to the same frames', () => {
  test('whole', () => {
    expect(decode([stream])).toEqual({ frames: expected, oversized: [], clean: true });
  });

  test('split in two at every byte', () => {
    for (let at = 0; at <= stream.length; at += 1) {
      expect(decode([stream.subarray(0, at), stream.subarray(at)]).frames).toEqual(expected);
    }
  });

  test('one byte at a time', () => {
    const bytes = Array.from(stream, (_, at) => stream.subarray(at, at + 1));
    expect(decode(bytes)).toEqual({ frames: expected, oversized: [], clean: true });
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('in random chunks (seed %i), with large, empty and oversized frames', (seed) => {
    const next = random(seed);
    const wanted: Seen[] = [];
    const tooLarge: number[] = [];
    const parts: Buffer[] = [];
    for (let id = 1; id < 60; id += 2) {
      const kind = next();
      if (kind < 0.1) {
        const length = maxFrameData + 1 + Math.floor(next() * 1000);
        tooLarge.push(id);
        parts.push(header(length, id, 2), Buffer.alloc(length, 0x01));
      } else {
        const data = Buffer.alloc(Math.floor(kind * kind * 200_000), id);
        wanted.push({ stream: id, type: 2, flags: 0, data: data.toString('hex') });
        parts.push(frame(id, 2, 0, data));
      }
    }
    const bytes = Buffer.concat(parts);
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + Math.floor(next() ** 4 * 100_000);
      chunks.push(bytes.subarray(at, end));
      at = end;
    }
    const seen = decode(chunks);
    expect(seen.frames).toEqual(wanted);
    expect(seen.oversized.map((found) => found.stream)).toEqual(tooLarge);
    expect(seen.clean).toBe(true);
  });
});

test('data within one chunk is handed on without a copy', () => {
  const chunk = frame(1, 1, 0, Buffer.from('payload'));
  let buffer: ArrayBufferLike | undefined;
  new FrameDecoder({ frame: ({ data }) => (buffer = data.buffer), oversized: () => undefined }).push(chunk);
  expect(buffer).toBe(chunk.buffer);
});

test('exactly 4 MiB of data is a frame, one byte more is oversized', () => {
  const largest = frame(1, 2, 0, Buffer.alloc(maxFrameData, 7));
  const over = Buffer.concat([header(maxFrameData + 1, 3, 2), Buffer.alloc(maxFrameData + 1)]);
  const seen = decode([largest, over, frame(5, 2, 0, Buffer.from('on'))]);
  expect(seen.frames.map((found) => found.stream)).toEqual([1, 5]);
  expect(seen.oversized).toEqual([{ length: maxFrameData + 1, stream: 3, type: 2, flags: 0 }]);
});

test('an oversized frame is reported by its header, before its data has come', () => {
  const seen = decode([header(0xffff_ffff, 9, 1)]);
  expect(seen.oversized).toEqual([{ length: 0xffff_ffff, stream: 9, type: 1, flags: 0 }]);
  expect(seen.clean).toBe(false);
});

test('an announced 4 MiB that never comes allocates nothing of that size', () => {
  const before = process.memoryUsage().arrayBuffers;
  const decoders = Array.from({ length: 200 }, () => {
    const decoder = new FrameDecoder({ frame: () => undefined, oversized: () => undefined });
    decoder.push(header(maxFrameData, 1, 1));
    decoder.push(Buffer.from('x'));
    return decoder;
  });
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(200 * 128 * 1024);
  expect(decoders.every((decoder) => !decoder.atBoundary)).toBe(true);
});

test('types, flags and ids that nobody assigned are handed on as they are', () => {
  const seen = decode([header(0, 0, 0, 0), header(0, 2, 255, 255), frame(4, 200, 0x80, Buffer.from('?'))]);
  expect(seen.frames.map(({ stream, type, flags }) => [stream, type, flags])).toEqual([
    [0, 0, 0],
    [2, 255, 255],
    [4, 200, 0x80],
  ]);
});

test('rubbish never throws', () => {
  const next = random(99);
  for (let round = 0; round < 50; round += 1) {
    const bytes = Buffer.from(Array.from({ length: 500 }, () => Math.floor(next() * 256)));
    expect(() => decode([bytes.subarray(0, 250), bytes.subarray(250)])).not.toThrow();
  }
});

test('a stopped decoder hands on nothing of the chunk it is in', () => {
  const seen: number[] = [];
  const decoder = new FrameDecoder({
    frame: (found) => {
      seen.push(found.stream);
      decoder.stop();
    },
    oversized: () => undefined,
  });
  decoder.push(stream);
  decoder.push(stream);
  expect(seen).toEqual([1]);
});

test('data over 4 MiB is not encoded', () => {
  expect(() => frame(1, 1, 0, Buffer.alloc(maxFrameData + 1))).toThrow(
    expect.objectContaining({ code: 'RESOURCE_EXHAUSTED' }),
  );
});

test('a frame is printed with the names of its type and flags', () => {
  expect(describeFrame({ length: 3, stream: 7, type: 3, flags: 5 })).toBe(
    'data stream=7 length=3 flags=remoteClosed|noData',
  );
  expect(describeFrame({ length: 0, stream: 2, type: 9, flags: 0x82 })).toBe(
    'type=9 stream=2 length=0 flags=remoteOpen|0x80',
  );
  expect(describeFrame({ length: 0, stream: 1, type: 1, flags: 0 })).toBe('request stream=1 length=0');
});
