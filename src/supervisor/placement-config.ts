/** `auto`: shared where that is known to be safe; `shared`: wherever it is not known to be unsafe; `per-task`: never. */
export type PlacementSetting = 'auto' | 'shared' | 'per-task';

export interface PlacementConfig {
  /** For runtimes that `runtimes` does not name. Default `auto`. */
  readonly mode: PlacementSetting;
  /** By runtime, as clients write it. */
  readonly runtimes: Readonly<Record<string, PlacementSetting>>;
  /** Tasks that one shared shim has at once, 1 to 100: what is lost with it, and below where its event queue stalls. Default 50. */
  readonly tasksPerShim: number;
  /** Tasks after which a shared shim takes no more and ends with its last one. Default 500. */
  readonly maxTasksPerShimLife: number;
  /** Milliseconds that a shared shim without tasks is kept. Default 10 000. */
  readonly idleGrace: number;
}

export const defaultPlacement: PlacementConfig = {
  mode: 'auto',
  runtimes: {},
  tasksPerShim: 50,
  maxTasksPerShimLife: 500,
  idleGrace: 10_000,
};
