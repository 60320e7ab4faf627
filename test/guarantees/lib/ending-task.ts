import { readFileSync } from 'node:fs';
import { waitFor } from '../../helpers/wait-for.ts';

/** Arguments of a program that ends with `status` when it gets SIGTERM, and lives until then. */
export function endingWith(status: number): string[] {
  return ['/bin/sh', '-c', `trap 'exit ${status}' TERM; while :; do sleep 1000 & wait $!; done`];
}

function childrenOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  } catch {
    return '';
  }
}

/** Waits until programs of `endingWith` have set their traps, which is before their first child. */
export async function trapping(...pids: readonly number[]): Promise<void> {
  for (const pid of pids) await waitFor(() => childrenOf(pid) !== '', { doing: `process ${pid} to set its trap` });
}
