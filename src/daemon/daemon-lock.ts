import path from 'node:path';
import { FileLock, FileLockedError } from '../shared/host/index.ts';
import type { Directories } from '../shared/layout.ts';
import { exitCodes, StartError } from './exit-code.ts';

/** Hidden: a name that could be a namespace's is not free. */
const lockName = '.lock';

/**
 * One daemon a state directory and one a root directory, for as long as the process lives. Released last in an ordered
 * stop, and by the kernel in any other. Throws a StartError that names the daemon in the way.
 */
export function lockDirectories(directories: Directories): Disposable {
  const state = lock(directories.state);
  try {
    const root = lock(directories.root);
    return {
      [Symbol.dispose]: () => {
        root.release();
        state.release();
      },
    };
  } catch (error) {
    state.release();
    throw error;
  }
}

function lock(directory: string): FileLock {
  try {
    return FileLock.acquire(path.join(directory, lockName));
  } catch (error) {
    if (error instanceof FileLockedError) {
      const holder = error.holder === undefined ? 'another daemon' : `the daemon with pid ${error.holder}`;
      throw new StartError(
        `${directory} is in use by ${holder}; stop it first, or choose other directories with --state and --root`,
        exitCodes.alreadyRunning,
        { cause: error },
      );
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartError(`cannot lock ${directory}: ${reason}`, exitCodes.failure, { cause: error });
  }
}
