import { constants } from 'node:os';
import { callLibc } from './libc.ts';
import { SystemError } from './system-error.ts';

const WNOHANG = 1;

/**
 * Reaps `pid` if it is an ended child of this process: true then, false where it still runs or is no child (any more).
 * Only for children whose thread is gone: one that a living thread watches is that thread's to reap, and its
 * `exit` event would be lost.
 */
export function reapChild(pid: number): boolean {
  // 0 and negative numbers mean whole groups to waitpid.
  if (!Number.isSafeInteger(pid) || pid <= 0) throw new RangeError(`not a process id: ${pid}`);
  const result = callLibc((libc) => libc.waitpid(pid, new Uint8Array(4), WNOHANG));
  if (result.ok) return result.value === pid;
  if (result.errno === constants.errno.ECHILD) return false;
  throw new SystemError(result.errno, 'waitpid', String(pid));
}
