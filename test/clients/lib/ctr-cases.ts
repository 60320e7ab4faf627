import { type Generation, generations, haveRuntimes, type Placement, placementsOf } from '../../helpers/runtimes.ts';

export const haveCtr: boolean = haveRuntimes;

export interface CtrCase {
  /** What `npm run test:clients` counts by. */
  readonly title: string;
  readonly generation: Generation;
  /** Shared where that is safe. */
  readonly placement: Placement;
}

const absent: Generation = { name: 'absent', version: '', shim: '/nonexistent/shim', ctr: '/nonexistent/ctr' };

/** Every generation's ctr on a daemon with its own shim. `conformance/ctr` crosses them. */
export const ctrCases: readonly CtrCase[] = (haveRuntimes ? generations : [absent]).map((generation) => ({
  title: `ctr and shim ${generation.version} (${generation.name})`,
  generation,
  placement: placementsOf(generation).at(-1) ?? 'per-task',
}));
