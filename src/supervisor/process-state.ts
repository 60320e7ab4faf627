import type { TaskStatus } from '../shared/messages/index.ts';
import { unreachable } from '../shared/util/unreachable.ts';
import type { StoredExit } from '../store/exit-store.ts';

/**
 * What is known of one process.
 *
 * - `adding`: the shim was asked for it; nobody can see it yet.
 * - `created`: the shim has it, its program does not run.
 * - `starting`: Start is under way, or was cut off and is settled by the next adoption.
 * - `start-failed`: its one Start failed. It can be deleted, and nothing else.
 * - `running`, `paused`: its program was started.
 * - `pausing`: between these two, or in one of them after a Pause or Resume of which nobody knows the end.
 * - `stopped`: it ended; the exit is in the store.
 * - `unknown`: its shim has been silent since the daemon started.
 * - `deleted`: it is in no list any more.
 */
export type ProcessState =
  | { readonly kind: 'adding' }
  | { readonly kind: 'created'; readonly pid: number }
  | { readonly kind: 'starting'; readonly pid: number }
  | { readonly kind: 'start-failed'; readonly pid: number }
  | { readonly kind: 'running'; readonly pid: number }
  | { readonly kind: 'pausing'; readonly pid: number }
  | { readonly kind: 'paused'; readonly pid: number }
  | { readonly kind: 'stopped'; readonly exit: StoredExit }
  | { readonly kind: 'unknown'; readonly pid: number }
  | { readonly kind: 'deleted' };

/** 0 where the process has none yet. */
export function pidOf(state: ProcessState): number {
  switch (state.kind) {
    case 'adding':
    case 'deleted':
      return 0;
    case 'stopped':
      return state.exit.pid;
    default:
      return state.pid;
  }
}

/** True from the reply to Start on, until it ends. */
export function isRunning(state: ProcessState): boolean {
  return state.kind === 'running' || state.kind === 'pausing' || state.kind === 'paused';
}

export function statusOf(state: ProcessState): TaskStatus {
  switch (state.kind) {
    case 'adding':
    case 'unknown':
    case 'deleted':
      return 'unknown';
    case 'created':
    case 'starting':
    case 'start-failed':
      return 'created';
    case 'running':
    case 'pausing':
    case 'paused':
    case 'stopped':
      return state.kind;
    default:
      return unreachable(state);
  }
}
