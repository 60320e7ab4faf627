import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { notFound, TaskError } from '../../src/shared/errors/index.ts';
import type { SandboxRef } from '../../src/shared/identifiers.ts';
import { bundleFiles, type Directories, sandboxBundle } from '../../src/shared/layout.ts';
import { formatSandboxRecord, parseSandboxRecord, type SandboxRecord } from '../../src/shared/sandbox-record.ts';
import { deadlineIn } from '../../src/shared/util/deadline.ts';
import type { WorkerSlot } from '../slot.ts';
import { makeShimHome, removeBundle } from './bundle.ts';
import { writeFileWhole } from './write-file.ts';

/**
 * Makes a sandbox's bundle; its record says that it is being created. Nothing is left of it where that fails. Throws
 * ALREADY_EXISTS where there is one.
 */
export async function prepareSandboxBundle(
  directories: Directories,
  record: SandboxRecord,
  spec: Uint8Array,
): Promise<string> {
  const { namespace, sandbox } = record;
  const bundle = sandboxBundle(directories, namespace, sandbox);
  makeShimHome(directories, { namespace, bundle, spec, what: `sandbox ${sandbox}` });
  try {
    await mkdir(path.join(bundle, bundleFiles.rootfs), { mode: 0o711 });
    await writeSandboxRecord(bundle, record);
    return bundle;
  } catch (error) {
    await rm(bundle, { recursive: true, force: true });
    throw error;
  }
}

export async function writeSandboxRecord(bundle: string, record: SandboxRecord): Promise<void> {
  writeFileWhole(path.join(bundle, bundleFiles.sandbox), formatSandboxRecord(record), 0o600);
}

/** Throws NOT_FOUND where the bundle is gone, foreign or cut off. */
export async function readSandboxRecord(directories: Directories, ref: SandboxRef): Promise<SandboxRecord> {
  const bundle = sandboxBundle(directories, ref.namespace, ref.sandbox);
  const text = await readFile(path.join(bundle, bundleFiles.sandbox), 'utf8').catch(() => '');
  const record = parseSandboxRecord(text);
  if (record === undefined)
    throw notFound(`sandbox ${ref.sandbox}: its bundle has no ${bundleFiles.sandbox}: not found`);
  return record;
}

/** Removes the bundle of a sandbox that is over, tried again within the cleanup deadline. Never throws. */
export async function dropSandboxBundle(slot: WorkerSlot, ref: SandboxRef): Promise<void> {
  const { directories, deadlines } = slot.settings;
  const bundle = sandboxBundle(directories, ref.namespace, ref.sandbox);
  const deadline = deadlineIn(deadlines.cleanup);
  for (let pause = 50; ; pause *= 2) {
    try {
      await removeBundle(bundle, directories, deadline);
      return;
    } catch (error) {
      if (Date.now() + pause >= deadline) {
        slot.logger.error('bundle not removed', { bundle, reason: TaskError.from(error).message });
        return;
      }
    }
    await delay(pause);
  }
}
