import { LeftoverError } from '../container/new-container.ts';
import { statusOfFailedStart } from '../exit-status.ts';
import { Failure, oneLine } from '../failure.ts';

/**
 * Makes one attempt to create or start a process. A failure gets the exit code that it stands for: the signal's where
 * the user gave up, 126 or 127 where it is the program's, 125 else.
 */
export async function asStart<T>(signal: AbortSignal | undefined, attempt: () => Promise<T>): Promise<T> {
  try {
    return await attempt();
  } catch (error) {
    const reason: unknown = signal?.reason;
    if (reason instanceof Failure) {
      throw error instanceof LeftoverError ? new Failure(reason.status, oneLine(error), { cause: error }) : reason;
    }
    throw new Failure(statusOfFailedStart(error), oneLine(error), { cause: error });
  }
}
