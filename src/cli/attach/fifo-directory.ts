import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { mkfifo } from '../../shared/host/index.ts';

/**
 * A private directory (0700) with the FIFOs of one process's stdio. Below the run-time directory where there is one:
 * a daemon started by systemd may have a /tmp of its own, in which the shim would look for the FIFOs in vain.
 */
export class FifoDirectory {
  readonly path: string;

  private constructor(directory: string) {
    this.path = directory;
  }

  static async make(): Promise<FifoDirectory> {
    return new FifoDirectory(await mkdtemp(path.join(parentDirectory(), 'shimd-stdio-')));
  }

  /** Makes a FIFO (0600) and answers its path. */
  add(name: string): string {
    const file = path.join(this.path, name);
    mkfifo(file, 0o600);
    return file;
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

function parentDirectory(): string {
  const candidates = process.getuid?.() === 0 ? ['/run'] : [process.env['XDG_RUNTIME_DIR']];
  for (const directory of candidates) {
    if (directory !== undefined && path.isAbsolute(directory) && isWritable(directory)) return directory;
  }
  return tmpdir();
}

function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
