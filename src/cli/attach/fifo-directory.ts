import { accessSync, constants, existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { mkfifo } from '../../shared/host/index.ts';

const prefix = 'shimd-stdio-';
/** Milliseconds. */
const abandonedAfter = 10 * 60_000;

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
    const parent = parentDirectory();
    await removeAbandoned(parent);
    return new FifoDirectory(await mkdtemp(path.join(parent, `${prefix}${process.pid}-`)));
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

/**
 * Removes what clients left that were killed. Their tasks live on and keep their FIFOs open: the names are of no use to
 * anybody. Those of other users fail to be removed, which is right.
 */
async function removeAbandoned(parent: string): Promise<void> {
  const names = await readdir(parent).catch(() => []);
  for (const name of names) {
    const pid = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    const directory = path.join(parent, name);
    const made = await stat(directory).catch(() => undefined);
    // A client in another pid namespace looks dead from here: leave it the time to hand its FIFOs to the shim.
    if (made === undefined || Date.now() - made.mtimeMs < abandonedAfter) continue;
    await rm(directory, { recursive: true, force: true }).catch(() => undefined);
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
