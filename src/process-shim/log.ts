import { writeSync } from 'node:fs';
import { createLogger, type Logger } from '../shared/log/logger.ts';

/** Lines of JSON on stderr, which in a serving shim is the bundle's `log`. */
export function stderrLogger(options: { readonly debug: boolean }): Logger {
  return createLogger(
    (level, event, fields) => {
      try {
        writeSync(2, `${JSON.stringify({ time: new Date().toISOString(), level, event, ...fields })}\n`);
      } catch {
        // A log that nobody reads (a full FIFO) or a full disk must not hold up tasks.
      }
    },
    options.debug ? 'debug' : 'info',
  );
}
