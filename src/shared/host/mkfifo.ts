import { chmodSync } from 'node:fs';
import { mustCallLibc } from './libc.ts';

/** Makes a FIFO with exactly `mode`, whatever the umask. Throws a system error (`EEXIST`, `ENOENT`, …). */
export function mkfifo(path: string, mode: number): void {
  mustCallLibc('mkfifo', path, (libc) => libc.mkfifo(path, mode));
  chmodSync(path, mode);
}
