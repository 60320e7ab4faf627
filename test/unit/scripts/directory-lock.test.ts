import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const file = path.resolve(import.meta.dirname, '../../../scripts/lib/directory-lock.mjs');
const { withLock } = (await import(pathToFileURL(file).href)) as {
  withLock: <T>(
    directory: string,
    body: () => T | Promise<T>,
    options?: { patience?: number; onWait?: () => void },
  ) => Promise<T>;
};

describe('a lock of scripts', () => {
  let parent: string;
  let lock: string;

  beforeEach(() => {
    parent = mkdtempSync(path.join(tmpdir(), 'shimd-lock-'));
    lock = path.join(parent, 'lock');
  });

  afterEach(() => rmSync(parent, { recursive: true, force: true }));

  test('lets one in at a time', async () => {
    const order: string[] = [];
    const first = withLock(lock, async () => {
      order.push('first in');
      await new Promise((resolve) => setTimeout(resolve, 50));
      order.push('first out');
    });
    const second = withLock(lock, () => void order.push('second'));
    await Promise.all([first, second]);
    expect(order).toEqual(['first in', 'first out', 'second']);
    expect(existsSync(lock)).toBe(false);
  });

  test('is taken from a holder that is gone', async () => {
    mkdirSync(lock);
    // No process has this pid.
    writeFileSync(path.join(lock, 'owner'), '4194305 1\n');
    expect(await withLock(lock, () => 'in')).toBe('in');
  });

  test('is not taken from a holder that lives', async () => {
    mkdirSync(lock);
    await expect(withLock(lock, () => 'in', { patience: 100 })).rejects.toThrow('still held');
    expect(existsSync(lock)).toBe(true);
  });

  test('is given back when its body fails', async () => {
    const failing = withLock(lock, () => {
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(existsSync(lock)).toBe(false);
  });
});
