import { closeSync, fstatSync, readSync } from 'node:fs';
import path from 'node:path';
import { hasCode } from '../../src/shared/errors/index.ts';
import { bundleFiles } from '../../src/shared/layout.ts';
import { openRegularFileSync } from './regular-file.ts';

/** Most that a shim's log may take of the state directory, which is memory; then all but its end is dropped. */
const maxLog = 1 << 20;
const keptLog = 256 << 10;
const block = 512;

/** A bundle's log; undefined where there is none, or something that is no file and may not be what it seems. */
function openLog(bundle: string, flags: 'r' | 'r+'): number | undefined {
  try {
    return openRegularFileSync(path.join(bundle, bundleFiles.log), flags);
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND', 'FAILED_PRECONDITION')) return undefined;
    throw error;
  }
}

/**
 * Drops the older part of a bundle's log where it takes up too much. The shim writes at its own offset and cannot be told
 * to begin anew, so the file is not cut: a hole is made of what is dropped, and the end stays, which has a panic in it.
 * Answers whether it dropped something.
 */
export async function boundLog(bundle: string, limits = { max: maxLog, kept: keptLog }): Promise<boolean> {
  const fd = openLog(bundle, 'r+');
  if (fd === undefined) return false;
  try {
    const found = fstatSync(fd);
    // Not its size, which counts the hole too.
    if (found.blocks * block <= limits.max) return false;
    // The FFI library is loaded with the first log that gets long.
    const { punchHole } = await import('../../src/shared/host/index.ts');
    const pages = Math.floor((found.size - limits.kept) / 4096);
    punchHole(fd, 0, pages * 4096);
    return true;
  } finally {
    closeSync(fd);
  }
}

/** The last `length` bytes of a bundle's log, without the hole before them; empty where there is none. */
export function logTail(bundle: string, length: number): string {
  let fd: number | undefined;
  try {
    fd = openLog(bundle, 'r');
    if (fd === undefined) return '';
    const { size } = fstatSync(fd);
    const buffer = Buffer.alloc(Math.min(length, size));
    const read = readSync(fd, buffer, 0, buffer.length, size - buffer.length);
    return buffer.subarray(0, read).toString('utf8').replaceAll('\0', '');
  } catch {
    return '';
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
