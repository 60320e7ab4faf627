import { open } from 'node:fs/promises';
import { failedPrecondition, TaskError } from '../../src/shared/errors/index.ts';

/** Read from the end of a log: criu writes megabytes of it. */
const tailBytes = 64 * 1024;
const mostLines = 3;

/**
 * What the runtime said of a checkpoint or restore that failed, with what to do or with criu's own reasons, which stand in
 * its log alone. `logs` are looked through in turn.
 */
export async function explainCriu(error: unknown, doing: string, logs: readonly string[]): Promise<TaskError> {
  const known = TaskError.from(error);
  if (
    /criu/i.test(known.message) &&
    /executable file not found|no such file|version check failed/i.test(known.message)
  ) {
    return failedPrecondition(
      `${doing}: criu does not run here: install criu 3.15 or later on the daemon's PATH, and see 'criu check': ${known.message}`,
    );
  }
  for (const log of logs) {
    const reasons = await reasonsIn(log);
    if (reasons.length > 0)
      return new TaskError(known.code, `${known.message}: ${reasons.join('; ')}`, { cause: error });
  }
  return known;
}

async function reasonsIn(log: string): Promise<string[]> {
  try {
    const file = await open(log, 'r');
    try {
      const { size } = await file.stat();
      const tail = Buffer.alloc(Math.min(size, tailBytes));
      await file.read(tail, 0, tail.length, size - tail.length);
      const lines = tail.toString('utf8').split('\n');
      return lines
        .filter((line) => /\bError \(/.test(line))
        .map((line) => line.replace(/^\([\d.]+\)\s*/, '').trim())
        .slice(-mostLines);
    } finally {
      await file.close();
    }
  } catch {
    return [];
  }
}
