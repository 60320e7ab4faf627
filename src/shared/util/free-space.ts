import { statfsSync } from 'node:fs';
import { TaskError } from '../errors/index.ts';
import type { Trouble } from '../health.ts';

/** What a file system has to have free: less is about to be none. */
const fewBytes = 1 << 20;
const fewInodes = 64;

/** Whether the file system of a directory is about to be full, or is. */
export function spaceTrouble(directory: string): Trouble | undefined {
  try {
    const { bavail, bsize, files, ffree } = statfsSync(directory);
    const bytes = bavail * bsize;
    if (bytes < fewBytes) return full(directory, bytes === 0 ? 'is full' : `has ${Math.floor(bytes / 1024)} KiB left`);
    // Some file systems count none.
    if (files > 0 && ffree < fewInodes) return full(directory, `has room for ${ffree} more files`);
    return undefined;
  } catch (error) {
    return { state: 'degraded', reason: `its file system cannot be asked: ${TaskError.from(error).message}` };
  }
}

function full(directory: string, how: string): Trouble {
  return { state: 'degraded', reason: `the file system of ${directory} ${how}: free some` };
}
