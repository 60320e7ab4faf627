import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { failedPrecondition } from '../shared/errors/index.ts';

const found = new Map<string, string>();

/** Absolute path of a program of util-linux or coreutils on the shim's own PATH. Throws FAILED_PRECONDITION with what it is needed `for`. */
export function hostTool(name: string, needed: string): string {
  const known = found.get(name);
  if (known !== undefined) return known;
  const directories = [...(process.env['PATH'] ?? '').split(':'), '/usr/bin', '/bin', '/usr/sbin', '/sbin'];
  for (const directory of directories.filter((name) => path.isAbsolute(name))) {
    const file = path.join(directory, name);
    try {
      accessSync(file, constants.X_OK);
      found.set(name, file);
      return file;
    } catch {
      // The next directory may have it.
    }
  }
  throw failedPrecondition(`${needed} needs the program ${name}, which is not installed: failed precondition`);
}
