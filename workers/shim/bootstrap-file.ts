import { readFileSync } from 'node:fs';
import path from 'node:path';
import { bundleFiles } from '../../src/shared/layout.ts';
import { type Bootstrap, formatBootstrap, parseBootstrap } from './bootstrap.ts';
import { writeFileWhole } from './write-file.ts';

/** What older versions of containerd and their shims leave instead of `bootstrap.json`. */
const addressFile = 'address';

/** Synchronous, as it is cheaper: see `readText` of the bundle. */
function readIfThere(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

export function writeBootstrap(bundle: string, bootstrap: Bootstrap): void {
  writeFileWhole(path.join(bundle, bundleFiles.bootstrap), formatBootstrap(bootstrap), 0o644);
}

/**
 * How to reach the shim of a bundle; undefined where its start never finished. An older bundle's `address` is
 * rewritten as `bootstrap.json`. Throws like `parseBootstrap` on a file with something else in it.
 */
export async function readBootstrap(bundle: string): Promise<Bootstrap | undefined> {
  const saved = readIfThere(path.join(bundle, bundleFiles.bootstrap));
  if (saved !== undefined) return parseBootstrap(saved);
  const address = readIfThere(path.join(bundle, addressFile));
  if (address === undefined) return undefined;
  const bootstrap = parseBootstrap(address);
  writeBootstrap(bundle, bootstrap);
  return bootstrap;
}

export function writeShimBinaryPath(bundle: string, binary: string): void {
  writeFileWhole(path.join(bundle, bundleFiles.shimBinaryPath), binary, 0o600);
}

/** Absolute path of the binary that the bundle's shim was started from; undefined where it was not kept. */
export async function readShimBinaryPath(bundle: string): Promise<string | undefined> {
  const saved = readIfThere(path.join(bundle, bundleFiles.shimBinaryPath));
  const binary = saved?.toString('utf8').trim();
  return binary?.startsWith('/') ? binary : undefined;
}
