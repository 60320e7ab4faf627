import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { sandboxesDirectory, sharedShimsDirectory } from '../../src/shared/layout.ts';

/** Addresses of the shims whose bundles are below a daemon's state directory, as file paths. */
export function shimSocketsIn(state: string): string[] {
  return filesNamed(state, 'bootstrap.json').flatMap((file) => {
    try {
      const { address } = JSON.parse(readFileSync(file, 'utf8')) as { address?: string };
      return address ? [address.replace(/^unix:\/\//, '')] : [];
    } catch {
      return [];
    }
  });
}

/** Directories of the tasks, shared shims and sandboxes in the directory of a namespace, hidden ones included. */
export function bundlesIn(directory: string): string[] {
  return entries(directory).flatMap((entry) => {
    const file = path.join(directory, entry);
    const holdsOthers = entry === sharedShimsDirectory || entry === sandboxesDirectory;
    return holdsOthers ? entries(file).map((shim) => path.join(file, shim)) : [file];
  });
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Files called `name` in the bundles below `state`: two or three levels down. */
function filesNamed(state: string, name: string): string[] {
  const found: string[] = [];
  const walk = (directory: string, depth: number): void => {
    if (existsSync(path.join(directory, name))) found.push(path.join(directory, name));
    if (depth === 0) return;
    for (const entry of entries(directory)) {
      if (entry !== 'rootfs') walk(path.join(directory, entry), depth - 1);
    }
  };
  walk(state, 3);
  return found;
}
