import winston from 'winston';
import { createLogger, type LogFields, type Logger, type LogLevel } from './logger.ts';

/** `json`: one object a line. `text`: for people. `auto`: text on a terminal, JSON elsewhere. */
export type LogFormat = 'json' | 'text' | 'auto';

export interface LogOutput {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Where lines go; the daemon's is stderr. */
  readonly stream: NodeJS.WritableStream & { readonly isTTY?: boolean };
  /** Lets the levels be coloured in text; default: on a terminal, unless NO_COLOR is set. */
  readonly color?: boolean;
}

/**
 * The process's one logger. Loaded by the daemon alone: threads send their lines to it as reports, and the command
 * line prints errors, not lines.
 */
export function createWinstonLogger(output: LogOutput): Logger {
  const { level, stream } = output;
  const terminal = stream.isTTY === true;
  const text = output.format === 'text' || (output.format === 'auto' && terminal);
  const noColor = process.env['NO_COLOR'] ?? '';
  const color = output.color ?? (terminal && noColor === '');
  // A reader that goes away must not take the daemon with it.
  stream.on('error', () => undefined);
  const log = winston.createLogger({
    level,
    levels: { error: 0, warn: 1, info: 2, debug: 3 },
    format: text ? textFormat(color) : winston.format.json(),
    transports: [new winston.transports.Stream({ stream, eol: '\n' })],
  });
  return createLogger((at, event, fields) => {
    log.log({ ...plainFields(fields), time: new Date().toISOString(), level: at, message: event });
  }, level);
}

/** Errors have no enumerable properties: without this they would be written as `{}`. */
function plainFields(fields: LogFields): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      reserved.has(name) ? `${name}_` : name,
      value instanceof Error ? plainError(value) : value,
    ]),
  );
}

const reserved: ReadonlySet<string> = new Set(['time', 'level', 'message']);

function plainError(error: Error): Record<string, unknown> {
  return {
    ...('code' in error ? { code: error.code } : {}),
    message: error.message,
    stack: error.stack,
    ...(error.cause instanceof Error ? { cause: error.cause.message } : {}),
  };
}

const colors: Readonly<Record<string, number>> = { error: 31, warn: 33, info: 32, debug: 90 };

function textFormat(color: boolean): winston.Logform.Format {
  return winston.format.printf(({ time, level, message, ...fields }) => {
    const name = level.toUpperCase().padEnd(5);
    const shown = color ? `\u001b[${colors[level] ?? 0}m${name}\u001b[0m` : name;
    const details = Object.entries(fields).map(([key, value]) => `${key}=${textOf(value)}`);
    return [String(time), shown, String(message), ...details].join(' ');
  });
}

/** Bare where that is unambiguous, else as JSON: one event stays one line. */
function textOf(value: unknown): string {
  if (typeof value === 'string' && /^[\w./:@+,-]+$/.test(value)) return value;
  if (typeof value === 'object' && value !== null && 'message' in value) return JSON.stringify(value.message);
  try {
    return JSON.stringify(value) ?? 'undefined';
  } catch {
    return JSON.stringify(String(value));
  }
}
