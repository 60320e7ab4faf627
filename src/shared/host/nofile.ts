import { readdirSync } from 'node:fs';
import { mustCallLibc } from './libc.ts';

const RLIMIT_NOFILE = 7;
const infinity = 0xffff_ffff_ffff_ffffn;

/** The limit on a process's open descriptors; `Infinity` where there is none. */
export interface NofileLimit {
  readonly soft: number;
  readonly hard: number;
}

/**
 * The soft limit that children should get: what the kernel, systemd and every login give by default, and what
 * programs that use select() need. Node raises its own soft limit to the hard one as it starts and its children
 * inherit that; what it was before cannot be asked for any more. Go programs (shims, runc) raise theirs themselves.
 */
export const conventionalNofileSoft = 1024;

/** How far below the limit the highest descriptor has to be for the limit to be lowered for a moment. */
const headroom = 128;

/** The limit of process `pid`; of this one where it is 0. */
export function nofileLimit(pid = 0): NofileLimit {
  const limit = new BigUint64Array(2);
  mustCallLibc('prlimit', String(pid), (libc) => libc.prlimit(pid, RLIMIT_NOFILE, null, bytesOf(limit)));
  return { soft: fromNative(limit[0]), hard: fromNative(limit[1]) };
}

/** Sets the soft limit of process `pid` (0: this one), at most its hard one, and returns what it is then. */
export function setNofileSoft(pid: number, soft: number): number {
  const { hard } = nofileLimit(pid);
  const next = Math.min(soft, hard);
  mustCallLibc('prlimit', String(pid), (libc) =>
    libc.prlimit(pid, RLIMIT_NOFILE, bytesOf(new BigUint64Array([toNative(next), toNative(hard)])), null),
  );
  return next;
}

/**
 * Runs `spawn`, which must start its child synchronously (as `child_process.spawn` does), so that the child inherits
 * the soft limit `soft`. This process's own is back at its hard limit afterwards, where Node had put it.
 *
 * The limit is the whole process's: for a millisecond other threads could not open descriptors beyond `soft` either.
 * So where this process already uses numbers near `soft`, nothing is lowered and the child inherits the raised limit.
 */
export function withNofileSoft<T>(spawn: () => T, soft = conventionalNofileSoft): T {
  if (highestDescriptor() > soft - headroom) return spawn();
  setNofileSoft(0, soft);
  try {
    return spawn();
  } finally {
    // Not back to what was read before: another thread may have lowered it in between.
    setNofileSoft(0, Number.POSITIVE_INFINITY);
  }
}

function highestDescriptor(): number {
  return readdirSync('/proc/self/fd').reduce((highest, name) => Math.max(highest, Number(name)), 0);
}

function fromNative(value: bigint | undefined): number {
  return value === undefined || value === infinity ? Number.POSITIVE_INFINITY : Number(value);
}

function toNative(value: number): bigint {
  return value === Number.POSITIVE_INFINITY ? infinity : BigInt(value);
}

function bytesOf(view: BigUint64Array): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
