import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { boundLog, logTail } from '../../../../workers/shim/shim-log.ts';

const limits = { max: 128 << 10, kept: 16 << 10 };

describe('the log of a shim', () => {
  let bundle: string;
  let file: string;

  beforeEach(() => {
    bundle = mkdtempSync(path.join(tmpdir(), 'log-'));
    file = path.join(bundle, 'log');
  });

  afterEach(() => rmSync(bundle, { recursive: true }));

  test('keeps its end when it gets too long, under a writer that goes on where it was', async () => {
    const fd = openSync(file, 'w');
    try {
      const line = (index: number): string => `line ${index}`.padEnd(127, '.').concat('\n');
      let next = 0;
      for (let round = 0; round < 5; round += 1) {
        for (let count = 0; count < 2000; count += 1) writeSync(fd, line(next++));
        expect(await boundLog(bundle, limits)).toBe(true);
        expect(statSync(file).blocks * 512).toBeLessThanOrEqual(limits.kept + 2 * 4096);
        expect(logTail(bundle, 4096).endsWith(line(next - 1))).toBe(true);
      }
      expect(await boundLog(bundle, limits)).toBe(false);
      writeSync(fd, 'panic: the last thing\n');
      expect(logTail(bundle, 100_000_000)).toMatch(/line 9999\.+\npanic: the last thing\n$/);
      expect(logTail(bundle, limits.max)).not.toContain('\0');
    } finally {
      closeSync(fd);
    }
  });

  test('is left alone while it is short, and is no error where there is none', async () => {
    expect(await boundLog(bundle, limits)).toBe(false);
    expect(logTail(bundle, 100)).toBe('');
    writeFileSync(file, 'a few words\n');
    expect(await boundLog(bundle, limits)).toBe(false);
    expect(readFileSync(file, 'utf8')).toBe('a few words\n');
    expect(logTail(bundle, 6)).toBe('words\n');
  });
});
