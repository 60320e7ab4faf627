import type { LogReport } from '../messages/index.ts';
import { type Logger, type LogLevel, logLevels } from './logger.ts';

/** Writes a slot's line as if it had been logged here. A level that is none of ours counts as `info`. */
export function writeLogReport(logger: Logger, report: LogReport): void {
  logger[parseLogLevel(report.level) ?? 'info'](report.message, report.fields);
}

export function parseLogLevel(text: string): LogLevel | undefined {
  return logLevels.find((level) => level === text);
}
