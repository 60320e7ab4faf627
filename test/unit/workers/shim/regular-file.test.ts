import { closeSync, mkdirSync, mkdtempSync, readFileSync, readSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { mkfifo } from '../../../../src/shared/host/index.ts';
import { ConfinedDirectory } from '../../../../workers/shim/confined-directory.ts';
import { openRegularFile, openRegularFileSync } from '../../../../workers/shim/regular-file.ts';
import { boundLog, logTail } from '../../../../workers/shim/shim-log.ts';

describe('a file that a runtime can have put anything in the place of', () => {
  let directory: string;
  let file: string;

  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'regular-'));
    file = path.join(directory, 'log');
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  const plant: Readonly<Record<string, () => void>> = {
    FIFO: () => mkfifo(file, 0o600),
    link: () => {
      writeFileSync(path.join(directory, 'secret'), 'secret');
      symlinkSync('secret', file);
    },
    directory: () => mkdirSync(file),
  };

  test('is read where it is one', async () => {
    writeFileSync(file, 'text');
    const handle = await openRegularFile(file);
    expect(await handle.readFile('utf8')).toBe('text');
    await handle.close();
    const fd = openRegularFileSync(file, 'r');
    const buffer = Buffer.alloc(4);
    readSync(fd, buffer);
    closeSync(fd);
    expect(buffer.toString()).toBe('text');
  });

  test.each(Object.keys(plant))('is refused at once where it is a %s', async (kind) => {
    plant[kind]?.();
    const refused = { code: 'FAILED_PRECONDITION', message: expect.stringContaining(`is a ${kind}`) };
    await expect(openRegularFile(file)).rejects.toMatchObject(refused);
    expect(() => openRegularFileSync(file, 'r')).toThrow(expect.objectContaining(refused));
    expect(logTail(directory, 100)).toBe('');
    expect(await boundLog(directory, { max: 0, kept: 0 })).toBe(false);
  });

  test('is not shortened through a link', async () => {
    const secret = path.join(directory, 'secret');
    writeFileSync(secret, 'secret'.repeat(10_000));
    symlinkSync('secret', file);
    expect(await boundLog(directory, { max: 0, kept: 0 })).toBe(false);
    expect(readFileSync(secret, 'utf8')).toBe('secret'.repeat(10_000));
  });

  test('is not there', async () => {
    await expect(openRegularFile(file)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(logTail(directory, 100)).toBe('');
  });

  test('is reached through no link below the directory that it is looked for in', async () => {
    mkdirSync(path.join(directory, 'real'));
    writeFileSync(path.join(directory, 'real/log'), 'text');
    symlinkSync('real', path.join(directory, 'planted'));
    await using confined = await ConfinedDirectory.open(directory);
    const handle = await confined.read(['real', 'log']);
    expect(await handle.readFile('utf8')).toBe('text');
    await handle.close();
    await expect(confined.read(['planted', 'log'])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(confined.read(['..', 'log'])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(confined.read(['real', '../../etc/passwd'])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
