import { lstatSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { hasCode } from '../../src/shared/errors/index.ts';
import { socketPathOf } from '../../src/shared/ttrpc/address.ts';
import { probeSocket } from './probe-socket.ts';

/** Removes the socket file at exactly this address, where it is a socket that refuses connections. */
export async function unlinkDeadSocket(address: string, deadline: number): Promise<void> {
  let path: string;
  try {
    path = socketPathOf(address);
    if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  } catch {
    // No file, or nothing that is one of ours.
    return;
  }
  try {
    await probeSocket(path, deadline);
  } catch (error) {
    if (hasCode(error, 'UNAVAILABLE')) await unlink(path).catch(() => undefined);
  }
}
