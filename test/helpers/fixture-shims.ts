import path from 'node:path';

/** Where the shims that misbehave are: a directory for `DaemonOptions.programs`. */
export const fixtureShims: string = path.join(import.meta.dirname, '../fixtures/shims');

/** Name of the runtime that a fixture is found by. */
export function fixtureRuntime(name: string): string {
  return `io.shimd.${name}.v1`;
}
