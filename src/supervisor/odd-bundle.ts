import { readdir } from 'node:fs/promises';
import { bundleFiles } from '../shared/layout.ts';

/**
 * What a bundle without a readable record is.
 *
 * - `half-made`: a create was cut off before it wrote down what it makes; there is nothing in it but what that makes first.
 * - `older`: a shim was started in it, by a version or a program that wrote no record.
 * - `foreign`: none of shimd's.
 */
export type OddBundle = 'half-made' | 'older' | 'foreign';

/** What is there before the record is. A file that is being written has a name with a dot before and `.tmp` behind. */
const madeFirst = new Set<string>([
  bundleFiles.rootfs,
  bundleFiles.work,
  bundleFiles.config,
  bundleFiles.log,
  'runtime',
]);

/** How a shim of containerd 1.6 and before is reached, where there is no `bootstrap.json`. */
const olderAddress = 'address';

/** Throws where the directory cannot be read. */
export async function kindOfOddBundle(bundle: string): Promise<OddBundle> {
  const names = await readdir(bundle);
  if (names.includes(bundleFiles.bootstrap) || names.includes(olderAddress)) return 'older';
  return names.every((name) => madeFirst.has(name) || /^\..*\.tmp$/.test(name)) ? 'half-made' : 'foreign';
}
