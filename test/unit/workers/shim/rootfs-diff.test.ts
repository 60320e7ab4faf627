import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { type Header, pack } from 'tar-stream';
import { describe, expect, onTestFinished, test } from 'vitest';
import { applyRootfsDiff } from '../../../../workers/shim/rootfs-diff.ts';

type Entry = Partial<Header> & { readonly name: string; readonly text?: string };

const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

/** A root file system, a directory beside it that nothing may touch, and an archive of `entries`. */
async function setUp(entries: readonly Entry[], compress = false) {
  const directory = realpathSync(mkdtempSync(path.join(tmpdir(), 'shimd-diff-')));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const [root, outside] = [path.join(directory, 'root'), path.join(directory, 'outside')];
  for (const made of [root, outside]) mkdirSync(made);
  writeFileSync(path.join(outside, 'secret'), 'untouched');
  const tar = pack();
  for (const { text, ...header } of entries) tar.entry({ ...owner, ...header }, text ?? '');
  tar.finalize();
  const bytes = await buffer(tar);
  const archive = path.join(directory, 'rootfs-diff.tar');
  writeFileSync(archive, compress ? gzipSync(bytes) : bytes);
  const apply = () => applyRootfsDiff(archive, root);
  return { root, outside, archive, apply, at: (name: string) => path.join(root, name) };
}

function expectUntouched(outside: string): void {
  expect(readdirSync(outside)).toEqual(['secret']);
  expect(readFileSync(path.join(outside, 'secret'), 'utf8')).toBe('untouched');
}

describe.each([false, true])('an archive of changes, compressed: %s,', (compress) => {
  test('brings files, directories and links with their modes and times', async () => {
    const mtime = new Date('2020-01-02T03:04:05Z');
    const { apply, at } = await setUp(
      [
        { name: './', type: 'directory', mode: 0o755 },
        { name: 'etc/', type: 'directory', mode: 0o750, mtime },
        { name: 'etc/hosts', mode: 0o4640, mtime, text: 'x'.repeat(200_000) },
        { name: '/etc/absolute', text: 'inside' },
        { name: 'etc/name', type: 'symlink', linkname: '/etc/hosts' },
        { name: 'etc/again', type: 'link', linkname: '/etc/hosts' },
      ],
      compress,
    );
    await apply();
    expect(readFileSync(at('etc/hosts'), 'utf8')).toHaveLength(200_000);
    expect(statSync(at('etc/hosts')).mode & 0o7777).toBe(0o4640);
    expect(statSync(at('etc/hosts')).mtime).toEqual(mtime);
    expect(statSync(at('etc')).mode & 0o7777).toBe(0o750);
    expect(readFileSync(at('etc/absolute'), 'utf8')).toBe('inside');
    expect(readlinkSync(at('etc/name'))).toBe('/etc/hosts');
    expect(statSync(at('etc/again')).ino).toBe(statSync(at('etc/hosts')).ino);
  });
});

test('an archive of changes takes away what its whiteouts name, and replaces what there is', async () => {
  const { apply, at, root } = await setUp([
    { name: '.wh.gone' },
    { name: 'kept/new', text: 'new' },
    { name: 'kept/.wh..wh..opq' },
    { name: 'file', text: 'was a directory' },
    { name: '.wh.missing' },
    { name: 'missing/.wh.too' },
  ]);
  for (const name of ['gone/deep', 'kept/old', 'file/below']) mkdirSync(at(name), { recursive: true });
  await apply();
  expect(readdirSync(root).toSorted()).toEqual(['file', 'kept']);
  expect(readdirSync(at('kept'))).toEqual(['new']);
  expect(readFileSync(at('file'), 'utf8')).toBe('was a directory');
});

const hostile: readonly (readonly [string, readonly Entry[]])[] = [
  ['a name that leads outside', [{ name: '../outside/new', text: 'x' }]],
  ['a name that leads outside from below', [{ name: 'a/../../outside/new', text: 'x' }]],
  [
    'a file behind a link that it brings itself',
    [
      { name: 'out', type: 'symlink', linkname: '../outside' },
      { name: 'out/new', text: 'x' },
    ],
  ],
  ['a file behind a link that was there', [{ name: 'there/new', text: 'x' }]],
  ['a directory behind a link that was there', [{ name: 'there/new/', type: 'directory' }]],
  ['a link behind a link that was there', [{ name: 'there/new', type: 'symlink', linkname: '/' }]],
  ['a whiteout behind a link that was there', [{ name: 'there/.wh.secret' }]],
  ['an opaque directory behind a link that was there', [{ name: 'there/.wh..wh..opq' }]],
  ['a whiteout that leads outside', [{ name: '.wh...' }]],
  ['a hard link to what is outside', [{ name: 'new', type: 'link', linkname: '../outside/secret' }]],
  ['a hard link through a link', [{ name: 'new', type: 'link', linkname: 'there/secret' }]],
  ['a hard link to a link', [{ name: 'new', type: 'link', linkname: 'there' }]],
  ['a device', [{ name: 'disk', type: 'block-device', devmajor: 8, devminor: 0 }]],
  ['a device that is read', [{ name: 'null', type: 'character-device', devmajor: 1, devminor: 3 }]],
  ['a FIFO', [{ name: 'fifo', type: 'fifo' }]],
];

test.each(hostile)('an archive of changes with %s is refused and touches nothing outside', async (_, entries) => {
  const { apply, outside, at } = await setUp(entries);
  symlinkSync('../outside', at('there'));
  await expect(apply()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  expectUntouched(outside);
  expect(existsSync(at('new')) || existsSync(at('disk')) || existsSync(at('fifo'))).toBe(false);
});

test('a link where an archive has a file or directory is replaced and not followed', async () => {
  const { apply, outside, at } = await setUp([
    { name: 'there', text: 'a file' },
    { name: 'other/', type: 'directory', mode: 0o755 },
    { name: 'other/file', text: 'in a directory' },
  ]);
  symlinkSync('../outside/secret', at('there'));
  symlinkSync('../outside', at('other'));
  await apply();
  expectUntouched(outside);
  expect(lstatSync(at('there')).isFile()).toBe(true);
  expect(readFileSync(at('other/file'), 'utf8')).toBe('in a directory');
});

test('an archive that is cut off or is none is refused', async () => {
  const { apply, archive } = await setUp([{ name: 'file', text: 'x'.repeat(10_000) }]);
  writeFileSync(archive, readFileSync(archive).subarray(0, 3000));
  await expect(apply()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  writeFileSync(archive, gzipSync(Buffer.alloc(5000, 1)).subarray(0, 20));
  await expect(apply()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  writeFileSync(archive, Buffer.alloc(2000, 7));
  await expect(apply()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('an archive in a compression that this Node cannot read is said to be so', async () => {
  const { apply, archive } = await setUp([]);
  writeFileSync(archive, Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0]));
  await expect(apply()).rejects.toMatchObject({ code: 'UNIMPLEMENTED', message: expect.stringContaining('gzip') });
});
