import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { readdir, readlink, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import {
  formatProcessRecord,
  formatTaskRecord,
  type ProcessRecord,
  parseProcessRecords,
  parseTaskRecord,
  type TaskRecord,
} from '../../src/shared/bundle-records.ts';
import { alreadyExists, failedPrecondition, isErrnoException } from '../../src/shared/errors/index.ts';
import { isIdentifier, type Namespace, type ShimId } from '../../src/shared/identifiers.ts';
import {
  bundleFiles,
  type Directories,
  namespaceDirectory,
  sandboxesDirectory,
  sharedShimBundle,
  sharedShimsDirectory,
  taskBundle,
  taskWorkDirectory,
} from '../../src/shared/layout.ts';
import { mountsBelow, unmountBelow } from './mounts.ts';
import { readSpecFacts } from './spec-facts.ts';
import { writeFileNew, writeFileWhole } from './write-file.ts';

/** What a bundle is called between its end and its removal; no identifier starts with a dot. */
const removedPrefix = '.removed-';

const hasErrno = (error: unknown, ...names: string[]): boolean => isErrnoException(error) && names.includes(error.code);

// What is done for every task is done synchronously: some thirty calls of a few microseconds each, on a thread that has
// nothing but this to do. Through libuv's threads each costs ten times as much, and two changes of thread.

function makeDirectory(directory: string, mode: number): void {
  mkdirSync(directory, { mode: 0o700 });
  chmodSync(directory, mode);
}

function ensureDirectory(directory: string, mode: number): void {
  const made = mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (made !== undefined) chmodSync(directory, mode);
}

/** An empty file. The shim opens `log` for writing and fails without it; 1.6 and 1.7 want `runtime` to delete. */
function touch(file: string): void {
  appendFileSync(file, '', { mode: 0o600 });
}

/** A work directory of a task that there is none of yet. One is left where a reboot took the state directory. */
async function makeWorkDirectory(work: string): Promise<void> {
  try {
    makeDirectory(work, 0o711);
  } catch (error) {
    if (!hasErrno(error, 'EEXIST')) throw error;
    await removeTree(work, Date.now());
    makeDirectory(work, 0o711);
  }
}

/** Only a user namespace maps groups: the others' specs, of 16 kB, need not be parsed again. */
function mappedGroupOf(spec: Uint8Array): number | undefined {
  const bytes = Buffer.from(spec.buffer, spec.byteOffset, spec.byteLength);
  return bytes.includes('gidMappings') ? readSpecFacts(spec).mappedGroup : undefined;
}

/**
 * Makes the bundle of a task, its work directory included. Nothing is left of it where that fails.
 * Throws ALREADY_EXISTS where there is one, INVALID_ARGUMENT for a spec that is no JSON.
 */
export async function prepareTaskBundle(
  directories: Directories,
  record: TaskRecord,
  spec: Uint8Array,
): Promise<string> {
  const { namespace, task } = record;
  const mappedGroup = mappedGroupOf(spec);
  const bundle = taskBundle(directories, namespace, task);
  const work = taskWorkDirectory(directories, namespace, task);
  ensureDirectory(namespaceDirectory(directories.state, namespace), 0o711);
  ensureDirectory(namespaceDirectory(directories.root, namespace), 0o711);
  try {
    makeDirectory(bundle, 0o700);
  } catch (error) {
    if (hasErrno(error, 'EEXIST')) throw alreadyExists(`task ${task}: already exists`);
    throw error;
  }
  try {
    if (mappedGroup !== undefined) {
      // The container's root is somebody else on the host and has to reach its rootfs.
      chownSync(bundle, process.geteuid?.() ?? 0, mappedGroup);
      chmodSync(bundle, 0o710);
    }
    makeDirectory(path.join(bundle, bundleFiles.rootfs), 0o711);
    // Before there is such a directory: whoever finds the bundle half made finds all of it.
    symlinkSync(work, path.join(bundle, bundleFiles.work));
    await makeWorkDirectory(work);
    // Whole or not does not matter yet: a bundle without the record that comes last is half made.
    writeFileNew(path.join(bundle, bundleFiles.config), spec, 0o644);
    touch(path.join(bundle, bundleFiles.log));
    touch(path.join(bundle, 'runtime'));
    writeFileWhole(path.join(bundle, bundleFiles.task), formatTaskRecord(record), 0o600);
    return bundle;
  } catch (error) {
    // The bundle last: a work directory without one is taken for that of a task which a reboot ended.
    await rm(work, { recursive: true, force: true });
    await rm(bundle, { recursive: true, force: true });
    throw error;
  }
}

/** Makes the bundle of a shared shim. Throws ALREADY_EXISTS where its id is taken. */
export function prepareShimBundle(directories: Directories, namespace: Namespace, shim: ShimId): string {
  const bundle = sharedShimBundle(directories, namespace, shim);
  // The start action reads annotations from a spec; there is none to speak of.
  makeShimHome(directories, { namespace, bundle, spec: Buffer.from('{}'), what: `shim ${shim}` });
  return bundle;
}

/**
 * Makes the directory that a shim of its own is started in, below one of the namespace's. Nothing is left of it where that
 * fails. Throws ALREADY_EXISTS where there is one.
 */
export function makeShimHome(
  directories: Directories,
  home: { readonly namespace: Namespace; readonly bundle: string; readonly spec: Uint8Array; readonly what: string },
): void {
  const { namespace, bundle, spec, what } = home;
  ensureDirectory(namespaceDirectory(directories.state, namespace), 0o711);
  ensureDirectory(path.dirname(bundle), 0o711);
  try {
    makeDirectory(bundle, 0o700);
  } catch (error) {
    if (hasErrno(error, 'EEXIST')) throw alreadyExists(`${what}: already exists`);
    throw error;
  }
  try {
    writeFileWhole(path.join(bundle, bundleFiles.config), spec, 0o644);
    touch(path.join(bundle, bundleFiles.log));
    touch(path.join(bundle, 'runtime'));
  } catch (error) {
    rmSync(bundle, { recursive: true, force: true });
    throw error;
  }
}

/** Synchronous: a small file of a tmpfs costs less than the turns of the thread pool, and adoption reads hundreds. */
function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return '';
    throw error;
  }
}

/** Undefined where the bundle is gone, foreign, or was cut off while it was made. */
export async function readTaskRecord(bundle: string): Promise<TaskRecord | undefined> {
  return parseTaskRecord(readText(path.join(bundle, bundleFiles.task)));
}

export async function readProcesses(bundle: string): Promise<ProcessRecord[]> {
  return parseProcessRecords(readText(path.join(bundle, bundleFiles.processes)));
}

export function appendProcess(bundle: string, record: ProcessRecord): void {
  appendFileSync(path.join(bundle, bundleFiles.processes), formatProcessRecord(record), { mode: 0o600 });
}

export async function readBundleSpec(bundle: string): Promise<Uint8Array | undefined> {
  const text = readText(path.join(bundle, bundleFiles.config));
  return text === '' ? undefined : Buffer.from(text);
}

const thisThread = randomBytes(4).toString('hex');
let removals = 0;

/** A name for a directory between its end and its removal, beside it. */
function hiddenName(directory: string): string {
  removals += 1;
  const name = path.basename(directory).replace(removedPrefix, '').slice(0, 100);
  return path.join(path.dirname(directory), `${removedPrefix}${name}-${thisThread}${removals.toString(36)}`);
}

/** Removes a directory tree, by another name first; never through something that is mounted in it. */
async function removeTree(directory: string, deadline: number): Promise<void> {
  const hidden = hiddenName(directory);
  try {
    await rename(directory, hidden);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return;
    throw error;
  }
  await unmountBelow(hidden, deadline);
  await rm(hidden, { recursive: true, force: true });
}

/** Throws FAILED_PRECONDITION where something is mounted in it. */
export async function removeWorkDirectory(work: string, deadline: number): Promise<void> {
  if ((await mountsBelow(work)).length > 0) {
    throw failedPrecondition(`something is mounted below ${work}: unmount it, then delete again`);
  }
  await removeTree(work, deadline);
}

/**
 * Removes a bundle as a shim leaves one behind: an empty rootfs, an empty work directory, and files. False where it is
 * any other; what is left then is removed in the thorough way. Goes into no directory and so through no mount, without
 * reading the table of mounts, which grows with all tasks: what is mounted on cannot be removed, renamed or unlinked.
 */
function removePlainBundle(bundle: string, directories: Directories): boolean {
  try {
    const work = readlinkSync(path.join(bundle, bundleFiles.work));
    if (!isBelow(work, directories.root)) return false;
    rmdirSync(path.join(bundle, bundleFiles.rootfs));
    rmdirSync(work);
    const hidden = hiddenName(bundle);
    renameSync(bundle, hidden);
    try {
      for (const name of readdirSync(hidden)) unlinkSync(path.join(hidden, name));
      rmdirSync(hidden);
      return true;
    } catch (error) {
      renameSync(hidden, bundle);
      throw error;
    }
  } catch {
    return false;
  }
}

function isBelow(directory: string, top: string): boolean {
  return path.resolve(directory).startsWith(`${path.resolve(top)}${path.sep}`);
}

/**
 * Removes a bundle and its work directory, after unmounting what is mounted in it. Nothing is touched where something
 * stays mounted: throws FAILED_PRECONDITION then, and can be called again.
 */
export async function removeBundle(bundle: string, directories: Directories, deadline: number): Promise<void> {
  if (removePlainBundle(bundle, directories)) return;
  await unmountBelow(bundle, deadline);
  const work = await readlink(path.join(bundle, bundleFiles.work)).catch(() => undefined);
  // The link is only followed to where this daemon would have made the directory; the bundle, which has the link, goes last.
  if (work !== undefined && isBelow(work, directories.root)) {
    await removeWorkDirectory(work, deadline);
  }
  await removeTree(bundle, deadline);
}

/** Removes what an earlier thread or daemon left half removed. */
export async function sweepRemoved(directories: Directories, deadline: number): Promise<void> {
  for (const top of [directories.state, directories.root]) {
    const namespaces = await readdir(top, { withFileTypes: true }).catch(() => []);
    for (const namespace of namespaces) {
      if (!namespace.isDirectory() || !isIdentifier(namespace.name)) continue;
      for (const inner of ['', sharedShimsDirectory, sandboxesDirectory]) {
        const holder = path.join(top, namespace.name, inner);
        const names = await readdir(holder).catch(() => []);
        for (const name of names.filter((entry) => entry.startsWith(removedPrefix))) {
          await removeTree(path.join(holder, name), deadline).catch(() => undefined);
        }
      }
    }
  }
}
