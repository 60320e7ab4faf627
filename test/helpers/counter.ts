import { readFileSync } from 'node:fs';
import { waitFor } from './wait-for.ts';

/** Counts from 1 up, a line for each number, ten times a second; what it counts is in its memory alone. */
export const counter = ['/bin/sh', '-c', 'n=0; while :; do n=$((n+1)); echo $n; sleep 0.1; done'];

/** The numbers that it has written to a log so far. */
export function numbersIn(log: string): number[] {
  try {
    return readFileSync(log, 'utf8').split(/\r?\n/).filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Waits until it has come to `number`; answers the last one. */
export function untilCounted(log: string, number: number): Promise<number> {
  return waitFor(() => (numbersIn(log).at(-1) ?? 0) >= number && numbersIn(log).at(-1), {
    budget: 30_000,
    doing: `the counter to come to ${number}`,
  });
}
