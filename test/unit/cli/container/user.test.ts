import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { resolveUser } from '../../../../src/cli/container/user.ts';

let rootfs: string;

beforeEach(() => {
  rootfs = mkdtempSync(path.join(tmpdir(), 'shimd-user-'));
  mkdirSync(path.join(rootfs, 'etc'));
  writeFileSync(
    path.join(rootfs, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\n# comment\nbroken\nalice:x:1000:1001::/:/bin/sh\nhuge:x:4294967296:0::/:/bin/sh\n',
  );
  writeFileSync(path.join(rootfs, 'etc/group'), 'root:x:0:\nalice:x:1001:alice\nwheel:x:10:bob,alice\n');
});

afterEach(() => rmSync(rootfs, { recursive: true, force: true }));

describe('a user', () => {
  test.each([
    ['alice', { uid: 1000, gid: 1001, additionalGids: [10] }],
    ['1000', { uid: 1000, gid: 1001, additionalGids: [10] }],
    ['0', { uid: 0, gid: 0 }],
    ['4711', { uid: 4711, gid: 0 }],
    ['alice:wheel', { uid: 1000, gid: 10 }],
    ['alice:77', { uid: 1000, gid: 77 }],
    ['5:6', { uid: 5, gid: 6 }],
  ])('%s is found', async (text, user) => expect(await resolveUser(text, rootfs)).toEqual(user));

  test.each([
    ['', /has to be USER/],
    ['alice:', /has to be USER/],
    [':1', /has to be USER/],
    ['1:2:3', /has to be USER/],
    ['nobody', /no user 'nobody' in .*passwd/],
    ['alice:nogroup', /no group 'nogroup' in .*group/],
    ['huge', /no user 'huge'/],
    ['2147483648', /not an id/],
    ['4294967296', /not an id/],
    ['-1', /not an id/],
    ['0:4294967296', /not an id/],
  ])('%j is refused', async (text, message) => {
    await expect(resolveUser(text, rootfs)).rejects.toThrow(message);
  });

  test('needs no files where it is a number', async () => {
    rmSync(path.join(rootfs, 'etc'), { recursive: true });
    expect(await resolveUser('7', rootfs)).toEqual({ uid: 7, gid: 0 });
  });

  test('is not looked up in a file outside the root file system', async () => {
    rmSync(path.join(rootfs, 'etc/passwd'));
    symlinkSync('/etc/passwd', path.join(rootfs, 'etc/passwd'));
    await expect(resolveUser('root', rootfs)).rejects.toThrow(/no user 'root'/);
  });
});
