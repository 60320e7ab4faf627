import {
  appendFileSync,
  closeSync,
  mkdtempSync,
  openSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ShimLogStart } from '../../../../src/shared/messages/index.ts';
import { LogReader } from '../../../../workers/shim/log-reader.ts';
import { boundLog } from '../../../../workers/shim/shim-log.ts';

const all = { kind: 'tail' } as const;

describe('the reader of a log', () => {
  let bundle: string;
  let file: string;
  let handle: FileHandle;
  let reader: LogReader;

  beforeEach(async () => {
    bundle = mkdtempSync(path.join(tmpdir(), 'log-'));
    file = path.join(bundle, 'log');
    writeFileSync(file, '');
    handle = await open(file, 'r');
    reader = new LogReader(handle, Date.now() + 10_000);
  });

  afterEach(async () => {
    await handle.close();
    rmSync(bundle, { recursive: true });
  });

  const line = (index: number): string => `line ${index}`.padEnd(127, '.').concat('\n');

  /** Everything from there to the end, and whether a part of it was dropped. */
  const readAll = async (from: ShimLogStart): Promise<{ text: string; dropped: boolean; parts: number }> => {
    let [text, dropped, parts] = ['', false, 0];
    for (let start = from; ; ) {
      const part = await reader.read(start);
      expect(part.content.length).toBeLessThanOrEqual(64 << 10);
      if (part.content.length === 0) return { text, dropped, parts };
      text += Buffer.from(part.content).toString();
      dropped ||= part.dropped;
      parts += 1;
      start = { kind: 'at', place: part.next };
    }
  };

  test('gives the last lines, also the one that has no end yet, and the last bytes', async () => {
    writeFileSync(file, 'one\ntwo\n\nthree\nfour');
    expect(await readAll(all)).toMatchObject({ text: 'one\ntwo\n\nthree\nfour', dropped: false });
    expect((await readAll({ kind: 'tail', lines: 1 })).text).toBe('four');
    expect((await readAll({ kind: 'tail', lines: 3 })).text).toBe('\nthree\nfour');
    expect((await readAll({ kind: 'tail', lines: 100 })).text).toBe('one\ntwo\n\nthree\nfour');
    expect((await readAll({ kind: 'tail', bytes: 6 })).text).toBe('e\nfour');
    expect((await readAll({ kind: 'tail', bytes: 6, lines: 1 })).text).toBe('four');
    expect((await readAll({ kind: 'tail', bytes: 2, lines: 3 })).text).toBe('ur');
    expect((await readAll({ kind: 'tail', lines: 0 })).text).toBe('');
    expect((await readAll({ kind: 'tail', bytes: 0 })).text).toBe('');
    appendFileSync(file, '\n');
    expect((await readAll({ kind: 'tail', lines: 1 })).text).toBe('four\n');
    expect((await readAll({ kind: 'tail', lines: 2 })).text).toBe('three\nfour\n');
  });

  test('finds the last lines behind many pages of others, wherever those are cut', async () => {
    const lines = Array.from({ length: 5000 }, (_, index) => line(index));
    writeFileSync(file, lines.join(''));
    for (const count of [1, 511, 512, 513, 1024, 4999, 5000, 9000]) {
      const { text, parts } = await readAll({ kind: 'tail', lines: count });
      expect(text).toBe(lines.slice(-count).join(''));
      expect(parts).toBe(Math.ceil(text.length / (64 << 10)));
    }
  });

  test('goes on where it was, and begins anew with a log that was cut or is another file', async () => {
    writeFileSync(file, 'first\n');
    const { next } = await reader.read(all);
    appendFileSync(file, 'second\n');
    expect((await readAll({ kind: 'at', place: next })).text).toBe('second\n');
    truncateSync(file);
    appendFileSync(file, 'new\n');
    expect(await readAll({ kind: 'at', place: next })).toMatchObject({ text: 'new\n', dropped: true });
    const other = { file: '0:0', offset: 2 };
    expect(await readAll({ kind: 'at', place: other })).toMatchObject({ text: 'new\n', dropped: true });
  });

  test('leaves the hole out that a shortened log has, and tells of it', async () => {
    const fd = openSync(file, 'w');
    try {
      for (let index = 0; index < 10_000; index += 1) writeSync(fd, line(index));
      expect(await boundLog(bundle, { max: 128 << 10, kept: 16 << 10 })).toBe(true);
    } finally {
      closeSync(fd);
    }
    const kept = await readAll(all);
    expect(kept.dropped).toBe(true);
    // Whole lines, to the last one.
    const [first = ''] = kept.text.split('\n');
    expect(kept.text).toBe(
      Array.from({ length: 10_000 - Number(/\d+/.exec(first)?.[0]) }, (_, at) =>
        line(10_000 + at - kept.text.length / 128),
      ).join(''),
    );
    expect(kept.text.length).toBeGreaterThan(16_000);
    expect(await readAll({ kind: 'tail', lines: 5 })).toMatchObject({
      dropped: false,
      text: expect.stringMatching(/^line 9995/),
    });
    expect(await readAll({ kind: 'tail', lines: 5000 })).toEqual(kept);
  });

  test('takes a reader that is behind to what is left, and tells it', async () => {
    const fd = openSync(file, 'w');
    try {
      for (let index = 0; index < 4000; index += 1) writeSync(fd, line(index));
      const { next } = await reader.read(all);
      for (let index = 4000; index < 10_000; index += 1) writeSync(fd, line(index));
      await boundLog(bundle, { max: 128 << 10, kept: 16 << 10 });
      const rest = await readAll({ kind: 'at', place: next });
      expect(rest.dropped).toBe(true);
      expect(rest.text).toMatch(/^line 98\d\d\.+\n/);
      expect(rest.text.endsWith(line(9999))).toBe(true);
    } finally {
      closeSync(fd);
    }
  });

  test('reads zeros that a shim wrote once, and not for ever', async () => {
    writeFileSync(file, `a\n${'\0'.repeat(1000)}`);
    expect((await readAll(all)).text.replaceAll('\0', '')).toBe('a\n');
    const { next } = await reader.read({ kind: 'tail', lines: 0 });
    appendFileSync(file, '\0');
    expect((await readAll({ kind: 'at', place: next })).text).toBe('');
    appendFileSync(file, 'b\n');
    expect((await readAll({ kind: 'at', place: next })).text).toBe('b\n');
  });

  test('says when the file has no name any more', async () => {
    writeFileSync(file, 'last words\n');
    expect((await reader.read(all)).unlinked).toBe(false);
    rmSync(file);
    expect(await reader.read(all)).toMatchObject({ unlinked: true, content: Buffer.from('last words\n') });
  });

  test('gives up at its deadline in a log that has no end of a line', async () => {
    writeFileSync(file, Buffer.alloc(1 << 20, 'x'));
    const late = new LogReader(handle, Date.now() - 1);
    await expect(late.read({ kind: 'tail', lines: 1 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });
});
