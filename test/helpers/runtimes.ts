import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

export const repository: string = path.resolve(import.meta.dirname, '../..');

/** One containerd's programs, as `scripts/fetch-runtimes.mjs` put them into the cache. */
export interface Generation {
  /** Debian's suite, or `path` for what is on PATH. */
  readonly name: string;
  readonly version: string;
  /** Absolute path of containerd-shim-runc-v2. */
  readonly shim: string;
  readonly ctr: string;
}

/** Docker Engine's programs. */
export interface Engine {
  readonly version: string;
  readonly dockerd: string;
  readonly docker: string;
  /** Directories of the libraries that dockerd may not find on the machine. */
  readonly libraries: readonly string[];
}

interface Manifest {
  readonly generations: readonly Generation[];
  readonly runc?: { readonly version: string; readonly path: string };
  readonly rootfs?: string;
  readonly criu?: { readonly version: string; readonly path: string };
  readonly engine?: Engine;
}

function readManifest(): Manifest {
  // `npm test` says 0 where the runtimes must not or cannot be used here, and why.
  if (process.env.SHIMD_REAL_RUNTIMES === '0' || process.getuid?.() !== 0) return { generations: [] };
  try {
    const manifest = JSON.parse(
      readFileSync(path.join(repository, '.cache/runtimes/manifest.json'), 'utf8'),
    ) as Manifest;
    return manifest.runc && manifest.rootfs ? manifest : { generations: [] };
  } catch {
    return { generations: [] };
  }
}

const manifest = readManifest();

/** The generations that can be run here; empty for other users than root and where nothing was fetched. */
export const generations: readonly Generation[] = manifest.generations;
export const haveRuntimes: boolean = generations.length > 0;
/** Absolute path of runc; a name that is not there where `haveRuntimes` is false. */
export const runc: string = manifest.runc?.path ?? '/nonexistent/runc';
/** A directory for `DaemonOptions.programs` with a criu that works here; undefined where there is none. */
export const criuDirectory: string | undefined = criuWorks(manifest)
  ? path.dirname(manifest.criu?.path ?? '')
  : undefined;
/** Root file system of a static busybox. Shared by all tests: nothing may be written to it. */
export const busyboxRootfs: string = manifest.rootfs ?? '/nonexistent/rootfs';

/** criu needs more of the kernel than runc does. */
function criuWorks({ criu }: Manifest): boolean {
  return criu !== undefined && spawnSync(criu.path, ['check'], { timeout: 20_000 }).status === 0;
}

/** Docker Engine, where it was fetched (`npm run test:clients` does) or is on PATH. */
export const engine: Engine | undefined = manifest.engine;

/** Compares dotted versions by their first two numbers. */
function atLeast(version: string, major: number, minor: number): boolean {
  const [a = 0, b = 0] = version.split('.').map(Number);
  return a > major || (a === major && b >= minor);
}

export type Placement = 'per-task' | 'shared';

/** How shimd may place tasks on this generation's shim: 1.6 loses exits when shared. */
export function placementsOf(generation: Generation): readonly Placement[] {
  return atLeast(generation.version, 1, 7) ? ['per-task', 'shared'] : ['per-task'];
}

export interface Combination {
  /** What `npm test` counts by. */
  readonly title: string;
  readonly generation: Generation;
  readonly placement: Placement;
}

const absent: Generation = { name: 'absent', version: '', shim: '/nonexistent/shim', ctr: '/nonexistent/ctr' };

/**
 * Every generation with every placement that is safe for it, for `describe.skipIf(!haveRuntimes).each`: where there are
 * no runtimes, one that does not run, so that the tests are counted as skipped.
 */
export const combinations: readonly Combination[] = haveRuntimes
  ? generations.flatMap((generation) =>
      placementsOf(generation).map((placement) => ({
        title: `shim ${generation.version} (${generation.name}), ${placement}`,
        generation,
        placement,
      })),
    )
  : [{ title: 'real runtimes, of which there are none here', generation: absent, placement: 'per-task' }];

/** Each generation once, shared where that is safe: for what a client sees of a shim and not of its placement. */
export const oneOfEach: readonly Combination[] = haveRuntimes
  ? combinations.filter(({ generation, placement }) => placement === placementsOf(generation).at(-1))
  : combinations;

/**
 * `combinations` for suites that take minutes: where SHIMD_SHORT=1 asks for the short form, the newest shim with a task each
 * and the one before it shared.
 */
export const slowCombinations: readonly Combination[] =
  process.env.SHIMD_SHORT === '1' && haveRuntimes
    ? combinations.filter(({ generation, placement }) => {
        const age = generations.length - 1 - generations.indexOf(generation);
        return age === 0 ? placement === 'per-task' : age === 1 && placement === placementsOf(generation).at(-1);
      })
    : combinations;

/** All of them; where SHIMD_SHORT=1 asks for the short form, the last. For suites that slow all others down. */
export function lastInShort(all: readonly Combination[]): readonly Combination[] {
  return process.env.SHIMD_SHORT === '1' ? all.slice(-1) : all;
}
