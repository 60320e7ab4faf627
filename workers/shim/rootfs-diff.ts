import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { Header } from 'tar-stream';
import { invalidArgument, isErrnoException, TaskError, unimplemented } from '../../src/shared/errors/index.ts';
import { ConfinedDirectory, type Ownership } from './confined-directory.ts';

/** A name of this form in an image layer takes the file away that is called like the rest of it. */
const whiteout = '.wh.';
/** Takes away all of a directory that the layer itself does not bring. */
const opaque = '.wh..wh..opq';

/**
 * Puts the changes in a checkpoint's `rootfs-diff.tar` (plain or gzip, with the whiteouts of image layers) on a root file system.
 * Nothing outside of it is touched: absolute names and links are taken relative to it or refused, and no link is followed.
 * Throws INVALID_ARGUMENT for an archive that is broken, leads outside or has device nodes. What was put there stays then.
 */
export async function applyRootfsDiff(archive: string, rootfs: string): Promise<void> {
  try {
    await using root = await ConfinedDirectory.open(rootfs);
    await apply(await decompressed(archive), root);
  } catch (error) {
    const { code, message } = TaskError.from(error);
    const kind = code === 'UNKNOWN' ? 'INVALID_ARGUMENT' : code;
    throw new TaskError(kind, `applying ${archive} to ${rootfs}: ${message}`, { cause: error });
  }
}

/** False where there is no such file. */
export async function isThere(file: string): Promise<boolean> {
  try {
    await (await open(file, 'r')).close();
    return true;
  } catch (error) {
    if (isErrnoException(error) && error.code === 'ENOENT') return false;
    throw error;
  }
}

async function decompressed(archive: string): Promise<Readable> {
  const file = await open(archive, 'r');
  const magic = Buffer.alloc(4);
  try {
    await file.read(magic, 0, 4, 0);
  } finally {
    await file.close();
  }
  if (magic.readUInt32LE() === 0xfd2fb528) throw unimplemented('it is compressed with zstd: compress it with gzip');
  const bytes = createReadStream(archive);
  if (magic[0] !== 0x1f || magic[1] !== 0x8b) return bytes;
  const gunzip = createGunzip();
  bytes.once('error', (error) => gunzip.destroy(error));
  return bytes.pipe(gunzip);
}

async function apply(source: Readable, root: ConfinedDirectory): Promise<void> {
  const { extract } = await import('tar-stream');
  const entries = extract();
  source.once('error', (error) => entries.destroy(error));
  source.pipe(entries);
  /** What the archive has brought so far: an opaque directory keeps it. */
  const brought = new Set<string>();
  try {
    for await (const entry of entries) {
      await put(root, entry.header, entry, brought);
      // What was not read of it is passed over.
      entry.resume();
    }
  } finally {
    source.destroy();
  }
}

async function put(
  root: ConfinedDirectory,
  header: Header,
  body: AsyncIterable<unknown>,
  brought: Set<string>,
): Promise<void> {
  const parts = partsOf(header.name);
  const last = parts.at(-1);
  if (last === undefined) return;
  const parents = parts.slice(0, -1);
  if (last === opaque) return root.empty(parents, brought);
  if (last.startsWith(whiteout)) return root.remove([...parents, last.slice(whiteout.length)]);
  for (let depth = 1; depth <= parts.length; depth++) brought.add(parts.slice(0, depth).join('/'));
  const ownership = ownershipOf(header);
  switch (header.type) {
    case 'directory':
      return root.directory(parts, ownership);
    case 'file':
    case 'contiguous-file':
      return root.file(parts, ownership, async (file) => {
        for await (const chunk of body) if (chunk instanceof Uint8Array) await file.writeFile(chunk);
      });
    case 'symlink':
      return root.symlink(parts, header.linkname ?? '', ownership);
    case 'link':
      return root.hardLink(parts, partsOf(header.linkname ?? ''));
    default:
      throw invalidArgument(`${header.name}: a ${header.type ?? 'file of unknown kind'} is not taken from an archive`);
  }
}

/** The parts of a name, which is relative to the root whatever it says. Throws INVALID_ARGUMENT for one that leads outside. */
function partsOf(name: string): string[] {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..') || name.includes('\0')) throw invalidArgument(`${JSON.stringify(name)} leads outside`);
  return parts;
}

function ownershipOf({ uid, gid, mode, mtime }: Header): Ownership {
  return { uid, gid, mode: mode & 0o7777, time: mtime ?? new Date(0) };
}
