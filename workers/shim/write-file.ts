import { closeSync, fchmodSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { isErrnoException } from '../../src/shared/errors/index.ts';

/** Writes a file that is not there yet. The mode does not depend on the umask. */
export function writeFileNew(file: string, content: string | Uint8Array, mode: number): void {
  const fd = openSync(file, 'wx', 0o600);
  try {
    writeFileSync(fd, content);
    fchmodSync(fd, mode);
  } finally {
    closeSync(fd);
  }
}

/** Like `writeFileNew`, in the place of one that is left where a process of this pid ended in the middle. */
function writeAnew(file: string, content: string | Uint8Array, mode: number): void {
  try {
    writeFileNew(file, content, mode);
  } catch (error) {
    if (!isErrnoException(error) || error.code !== 'EEXIST') throw error;
    rmSync(file, { force: true });
    writeFileNew(file, content, mode);
  }
}

/** Writes a file that is either whole or absent, whoever dies meanwhile. The mode does not depend on the umask. */
export function writeFileWhole(file: string, content: string | Uint8Array, mode: number): void {
  const temporary = path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}.tmp`);
  try {
    writeAnew(temporary, content, mode);
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
