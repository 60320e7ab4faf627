import { writeSync } from 'node:fs';
import { exitCodes } from '../exit-code.ts';

/**
 * What nobody caught ends the daemon: its state is not to be trusted any more, and the truth is on disk and in the
 * shims. The next start picks it up from there. Written without the logger, which may be what failed.
 */
export function exitOnCrash(): void {
  process.on('uncaughtException', (error: unknown, origin) => {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const line = { level: 'error', message: 'daemon crashed', time: new Date().toISOString(), origin, error: stack };
    try {
      writeSync(2, `${JSON.stringify(line)}\n`);
    } finally {
      process.exit(exitCodes.failure);
    }
  });
}
