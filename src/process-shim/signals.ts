import { constants } from 'node:os';
import { invalidArgument } from '../shared/errors/index.ts';
import { readProc } from './process-table.ts';

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

/** Sends `signal` to one of many: that one is gone, or is another user's meanwhile, must not keep it from the rest. */
export function signalMember(pid: number, signal: number): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && (error.code === 'ESRCH' || error.code === 'EPERM'))) throw error;
  }
}

/** True where `signal` would end the process: it neither catches, ignores nor blocks it. Not for signals that end nothing. */
export function isFatal(pid: number, signal: number): boolean {
  const status = readProc(pid, 'status') ?? '';
  const bit = 1n << BigInt(signal - 1);
  return ['SigCgt', 'SigIgn', 'SigBlk'].every((set) => {
    const mask = new RegExp(`^${set}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1];
    return mask !== undefined && (BigInt(`0x${mask}`) & bit) === 0n;
  });
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
