import type { PlacementMode } from './messages/shim.ts';

export const placementModes: readonly PlacementMode[] = ['per-task', 'shared', 'sandbox', 'joined'];

/** Whether the connection to a shim is there for one task only, and goes with it. */
export function isForOneTask(mode: PlacementMode): boolean {
  return mode === 'per-task' || mode === 'joined';
}
