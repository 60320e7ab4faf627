import type { ComponentHealth } from '../shared/health.ts';

/** What the API needs of whoever knows how the daemon is. */
export interface HealthReport {
  /** Every component as it is now; asks nobody. */
  components(): readonly ComponentHealth[];
  /** Calls `listener` about once a second while it is registered; returns what ends that. */
  onLook(listener: () => void): () => void;
}
