import { setTimeout as delay } from 'node:timers/promises';

/** How long one step is tried again while faults come and go, in milliseconds. */
export const patience = 90_000;

/** What is tried again: anything but an answer about the request itself. */
export function isPassing(error) {
  return !['NOT_FOUND', 'ALREADY_EXISTS', 'INVALID_ARGUMENT', 'FAILED_PRECONDITION'].includes(error.code);
}

/** Tries again what fails for the faults' sake, until it works or says something about the request. */
export async function persist(doing, work) {
  const end = Date.now() + patience;
  for (let pause = 50; ; pause = Math.min(pause * 2, 1000)) {
    try {
      return await work();
    } catch (error) {
      if (!isPassing(error) || Date.now() > end) {
        throw new Error(`${doing}: ${error.code ?? ''} ${error.message}`, { cause: error });
      }
    }
    await delay(pause);
  }
}

/** Does what an earlier try may have done already: that it says so is no failure. */
export async function unlessDone(code, work) {
  try {
    await work();
  } catch (error) {
    if (error.code !== code) throw error;
  }
}
