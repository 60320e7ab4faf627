import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import path from 'node:path';
import { bundleFiles } from '../../src/shared/layout.ts';

/** Most that a shim's log may take of the state directory, which is memory; then all but its end is dropped. */
const maxLog = 1 << 20;
const keptLog = 256 << 10;
const block = 512;

/**
 * Drops the older part of a bundle's log where it takes up too much. The shim writes at its own offset and cannot be told
 * to begin anew, so the file is not cut: a hole is made of what is dropped, and the end stays, which has a panic in it.
 * Answers whether it dropped something.
 */
export async function boundLog(bundle: string, limits = { max: maxLog, kept: keptLog }): Promise<boolean> {
  const file = path.join(bundle, bundleFiles.log);
  const found = statSync(file, { throwIfNoEntry: false });
  // Not its size, which counts the hole too.
  if (found === undefined || !found.isFile() || found.blocks * block <= limits.max) return false;
  // The FFI library is loaded with the first log that gets long.
  const { punchHole } = await import('../../src/shared/host/index.ts');
  const fd = openSync(file, 'r+');
  try {
    const pages = Math.floor((found.size - limits.kept) / 4096);
    punchHole(fd, 0, pages * 4096);
  } finally {
    closeSync(fd);
  }
  return true;
}

/** The last `length` bytes of a bundle's log, without the hole before them; empty where there is none. */
export function logTail(bundle: string, length: number): string {
  let fd: number;
  try {
    fd = openSync(path.join(bundle, bundleFiles.log), 'r');
  } catch {
    return '';
  }
  try {
    const found = fstatSync(fd);
    if (!found.isFile()) return '';
    const buffer = Buffer.alloc(Math.min(length, found.size));
    const read = readSync(fd, buffer, 0, buffer.length, found.size - buffer.length);
    return buffer.subarray(0, read).toString('utf8').replaceAll('\0', '');
  } catch {
    return '';
  } finally {
    closeSync(fd);
  }
}
