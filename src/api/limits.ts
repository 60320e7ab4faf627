import { readFileSync } from 'node:fs';

/** Longest message, in bytes, in both directions: what containerd's Go clients receive at most. */
export const maxMessageBytes = 16 * 1024 * 1024;

/** Connections at once, where the process may open enough files; each costs a descriptor and some memory. */
const mostConnections = 4096;
/** Descriptors that are kept for everything else: databases, bundles, shims, children. */
const reservedShare = 2;

/** Connections at once: half of the descriptors that the process may have open, at most 4,096. */
export function maxConnections(): number {
  return Math.min(mostConnections, Math.floor(nofileLimit() / reservedShare));
}

/** What the kernel says, without the FFI library, which a daemon that serves does not need loaded. */
function nofileLimit(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  return soft === undefined || soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

/** Calls at once on one connection: a client may wait for very many tasks. */
export const maxConcurrentCalls = 100_000;
