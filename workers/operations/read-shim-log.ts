import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { invalidArgument } from '../../src/shared/errors/index.ts';
import { bundleFiles } from '../../src/shared/layout.ts';
import type { ReadShimLogOperation, ShimLogPart, ShimLogStart } from '../../src/shared/messages/index.ts';
import { earlier } from '../../src/shared/util/deadline.ts';
import { ConfinedDirectory } from '../shim/confined-directory.ts';
import { LogReader } from '../shim/log-reader.ts';
import type { WorkerSlot } from '../slot.ts';

/** Milliseconds between two looks for more: a person reads along. */
const lookEvery = 100;

/**
 * The next part of a shim's log, whatever state the shim is in. While it waits for more it has the file open, so the last words of
 * a shim whose bundle is removed meanwhile are read. Throws NOT_FOUND where there is no log, FAILED_PRECONDITION where what
 * has its name is no file: nothing is followed or blocks.
 */
export async function readShimLog(slot: WorkerSlot, operation: ReadShimLogOperation): Promise<ShimLogPart> {
  const { bundle, from, patience, deadline } = operation;
  const { state } = slot.settings.directories;
  const parts = path.relative(state, bundle).split(path.sep);
  if (parts.includes('..')) throw invalidArgument(`${bundle} is not below ${state}: its log is not read`);
  await using directory = await ConfinedDirectory.open(state);
  const file = await directory.read([...parts, bundleFiles.log]);
  try {
    const reader = new LogReader(file, deadline);
    const end = earlier(deadline, Date.now() + patience);
    let part = await reader.read(from);
    while (part.content.length === 0 && !part.unlinked && Date.now() < end) {
      const at: ShimLogStart = { kind: 'at', place: part.next };
      await delay(lookEvery);
      part = await reader.read(at);
    }
    const { unlinked, ...rest } = part;
    return { ...rest, removed: unlinked && part.next.offset >= part.end };
  } finally {
    await file.close();
  }
}
