import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';

/** A directory that is gone after the test. */
export function scratchDirectory(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'shimd-host-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
