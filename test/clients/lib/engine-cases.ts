import { engine, type Generation, generations, haveRuntimes } from '../../helpers/runtimes.ts';

export const haveEngine: boolean = haveRuntimes && engine !== undefined;

export interface EngineCase {
  /** What `npm run test:clients` counts by; two, because a title is cut at 40 characters. */
  readonly name: string;
  readonly shim: string;
  readonly generation: Generation;
}

const absent: Generation = { name: 'absent', version: '', shim: '/nonexistent/shim', ctr: '/nonexistent/ctr' };

function caseOf(generation: Generation): EngineCase {
  return {
    name: `Docker Engine ${engine?.version ?? ''} (engine)`,
    shim: `shim ${generation.version} (${generation.name})`,
    generation,
  };
}

const first = generations[0] ?? absent;
const last = generations.at(-1) ?? absent;

/** The newest shim, where tasks share one. */
export const newestCase: EngineCase = caseOf(last);

/** The oldest shim, with one for each task, as Debian installs it beside Docker; and the newest. */
export const engineCases: readonly EngineCase[] = first === last ? [newestCase] : [caseOf(first), newestCase];
