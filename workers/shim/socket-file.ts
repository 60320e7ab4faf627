import { lstatSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode } from '../../src/shared/errors/index.ts';
import { socketPathOf } from '../../src/shared/ttrpc/address.ts';
import { probeSocket } from './probe-socket.ts';

/** Milliseconds between two looks at a socket that still takes connections. */
const pauses = [10, 30, 100, 300];

/**
 * Removes the socket file at exactly this address, where it is a socket that refuses connections. One whose owner was killed
 * while it was starting a program takes them for a moment more: the program holds it until it is what it is to be.
 */
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
    for (const pause of pauses) {
      await probeSocket(path, deadline);
      await delay(pause);
    }
  } catch (error) {
    if (hasCode(error, 'UNAVAILABLE')) await unlink(path).catch(() => undefined);
  }
}
