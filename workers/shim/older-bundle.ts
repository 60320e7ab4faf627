import { readlink } from 'node:fs/promises';
import path from 'node:path';
import { formatTaskRecord, type TaskRecord } from '../../src/shared/bundle-records.ts';
import { bundleFiles } from '../../src/shared/layout.ts';
import { writeShimBinaryPath } from './bootstrap-file.ts';
import { commandLine } from './host-process.ts';
import { writeFileWhole } from './write-file.ts';

const isShimBinary = (name: string): boolean =>
  name.startsWith('/') && path.basename(name).startsWith('containerd-shim-');

/**
 * Absolute path of the binary that a shim's process runs, which bundles of older versions do not tell; behind an
 * interpreter where it is a script. Undefined where that looks like no shim.
 */
export async function binaryOf(pid: number): Promise<string | undefined> {
  const named = (await commandLine(pid)).slice(0, 3).find(isShimBinary);
  if (named !== undefined) return named;
  const exe = await readlink(`/proc/${pid}/exe`).catch(() => '');
  const binary = exe.replace(/ \(deleted\)$/, '');
  return isShimBinary(binary) ? binary : undefined;
}

/** Writes down what a bundle of an older version lacks, so that it is one like all others from now on. */
export async function completeBundle(bundle: string, record: TaskRecord): Promise<void> {
  if (record.binary !== '') writeShimBinaryPath(bundle, record.binary);
  writeFileWhole(path.join(bundle, bundleFiles.task), formatTaskRecord(record), 0o600);
}
