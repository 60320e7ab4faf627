import { chmodSync, lchownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { lockDirectories } from '../../../src/daemon/daemon-lock.ts';
import { groupNumber } from '../../../src/daemon/group.ts';
import { prepareDirectory } from '../../../src/daemon/prepare-directory.ts';

const asRoot = process.getuid?.() === 0;
const rules = { purpose: 'state', mode: 0o700 };

function scratch(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'shimd-daemon-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

describe('a directory of the daemon', () => {
  test('is made with its parents, exactly of its mode under any umask', async () => {
    const directory = path.join(scratch(), 'a', 'b');
    const umask = process.umask(0o027);
    try {
      await prepareDirectory(directory, { ...rules, mode: 0o711 });
    } finally {
      process.umask(umask);
    }
    expect(statSync(directory).mode & 0o7777).toBe(0o711);
  });

  test('that is there already is closed to others', async () => {
    const directory = scratch();
    chmodSync(directory, 0o777);
    await prepareDirectory(directory, rules);
    expect(statSync(directory).mode & 0o7777).toBe(0o700);
  });

  test('can be a link that this user made', async () => {
    const directory = scratch();
    mkdirSync(path.join(directory, 'real'));
    symlinkSync('real', path.join(directory, 'link'));
    await expect(prepareDirectory(path.join(directory, 'link'), rules)).resolves.toBeUndefined();
  });

  test('cannot be a file, or below one', async () => {
    const file = path.join(scratch(), 'file');
    writeFileSync(file, '');
    await expect(prepareDirectory(file, rules)).rejects.toThrow(
      `cannot use state directory ${file}: it is not a directory`,
    );
    await expect(prepareDirectory(path.join(file, 'x'), rules)).rejects.toThrow(/not a directory/);
  });

  test.runIf(asRoot)('cannot be the directory or the link of another user', async () => {
    const directory = scratch();
    const link = path.join(directory, 'link');
    symlinkSync(scratch(), link);
    lchownSync(link, 1234, 1234);
    await expect(prepareDirectory(link, rules)).rejects.toThrow(/is a link that belongs to user 1234/);
    lchownSync(directory, 1234, 1234);
    await expect(prepareDirectory(directory, rules)).rejects.toThrow(/belongs to user 1234, not to 0/);
  });

  test.runIf(asRoot)('cannot be on a file system that is not to be written', async () => {
    await expect(prepareDirectory('/proc/shimd', rules)).rejects.toThrow(/cannot use state directory \/proc\/shimd: /);
  });
});

describe('the lock', () => {
  test('names the daemon in the way, and keeps nothing where it is not had whole', () => {
    const [root, state, other] = [scratch(), scratch(), scratch()];
    const first = lockDirectories({ root, state });
    const second = () => lockDirectories({ root, state: other });
    expect(second).toThrow(`${root} is in use by the daemon with pid ${process.pid}`);
    expect(second).toThrow(expect.objectContaining({ exitCode: 3 }));
    first[Symbol.dispose]();
    expect(() => second()[Symbol.dispose]()).not.toThrow();
  });
});

describe('a group', () => {
  test('is found by name or number', () => {
    const database = path.join(scratch(), 'group');
    writeFileSync(database, 'root:x:0:\ndocker:x:998:me,you\n');
    expect(groupNumber('docker', database)).toBe(998);
    expect(groupNumber('42', database)).toBe(42);
    expect(groupNumber(7, database)).toBe(7);
    expect(() => groupNumber('nobody-there', database)).toThrow(/there is no group "nobody-there"/);
  });
});
