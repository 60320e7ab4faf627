import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { HostProcess } from './host-process.ts';
import { writeFileWhole } from './write-file.ts';

/** What is kept of a shim's process beside its `bootstrap.json`, so that it can be recognized later. */
const processFile = 'shim.json';

let boot: string | undefined;
const bootId = (): string => (boot ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());

export async function saveProcess(bundle: string, process: HostProcess): Promise<void> {
  writeFileWhole(path.join(bundle, processFile), JSON.stringify({ ...process, boot: bootId() }), 0o600);
}

/** The process of a bundle's shim, as it was recognized when it was started; undefined where that was not kept. */
export async function savedProcess(bundle: string): Promise<HostProcess | undefined> {
  const file = path.join(bundle, processFile);
  // A new shim has none, and an error costs more than the look.
  if (!existsSync(file)) return undefined;
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof value !== 'object' || value === null) return undefined;
    const { pid, startTime, boot }: Readonly<Record<string, unknown>> = Object.fromEntries(Object.entries(value));
    // Start times count from the boot: after another one the same pair can be any process.
    if (boot !== undefined && boot !== bootId()) return undefined;
    return typeof pid === 'number' && typeof startTime === 'number' ? { pid, startTime } : undefined;
  } catch {
    return undefined;
  }
}
