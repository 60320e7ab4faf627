import { constants } from 'node:os';
import { invalidArgument } from '../shared/errors/index.ts';

export const signals = constants.signals;

/** The highest signal of Linux, SIGRTMAX. */
const highest = 64;

export function signalNumber(name: NodeJS.Signals): number {
  return signals[name];
}

/** Throws INVALID_ARGUMENT unless `signal` is a signal's number; 0 only asks whether the process is there. */
export function assertSignal(signal: number): void {
  if (!Number.isInteger(signal) || signal < 0 || signal > highest) {
    throw invalidArgument(`there is no signal ${signal}: invalid argument`);
  }
}

/** Sends `signal`; false where there is no such process any more. */
export function sendSignal(pid: number, signal: number): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}
