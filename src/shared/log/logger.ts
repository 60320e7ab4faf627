/** Names of the lines' levels, most severe first. */
export const logLevels = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof logLevels)[number];

/** What a line is about besides its event: ids first (`namespace`, `task`, `exec`, `shim`, `slot`), then what was measured. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Log lines are data: `event` is a constant phrase (`task created`), everything that varies is a field.
 * Never throws and never waits.
 */
export interface Logger {
  error(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  debug(event: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every line. */
  child(fields: LogFields): Logger;
}

/** Where finished lines go. */
export type LogSink = (level: LogLevel, event: string, fields: LogFields) => void;

/** A logger that hands every line of `level` and above to `sink`. */
export function createLogger(sink: LogSink, level: LogLevel = 'info', base: LogFields = {}): Logger {
  const lowest = logLevels.indexOf(level);
  const write = (at: LogLevel) => (event: string, fields?: LogFields) => {
    if (logLevels.indexOf(at) <= lowest) sink(at, event, { ...base, ...fields });
  };
  return {
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    child: (fields) => createLogger(sink, level, { ...base, ...fields }),
  };
}

/** Drops every line; for tests and for a library's caller who wants none. */
export const silentLogger: Logger = createLogger(() => undefined);
