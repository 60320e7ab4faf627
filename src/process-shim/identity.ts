import { TaskError } from '../shared/errors/index.ts';
import type { ProcessSpec } from './spec.ts';

/** The user that a process runs as. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  /** False where it is the shim's own, and there is nothing to switch. */
  readonly switches: boolean;
}

/**
 * The user that `spec` asks for. Only root can run a process as somebody else: another shim throws
 * PERMISSION_DENIED, or uses its own user where it was told to `ignore` what it cannot give.
 */
export function identityOf(spec: ProcessSpec, options: { readonly ignore: boolean }): Identity {
  const own = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  if (own.uid === 0) {
    return { uid: spec.uid ?? 0, gid: spec.gid ?? 0, additionalGids: spec.additionalGids, switches: true };
  }
  const groups = [own.gid, ...(process.getgroups?.() ?? [])];
  const fits =
    (spec.uid ?? own.uid) === own.uid &&
    (spec.gid ?? own.gid) === own.gid &&
    spec.additionalGids.every((gid) => groups.includes(gid));
  if (!fits && !options.ignore) {
    throw new TaskError(
      'PERMISSION_DENIED',
      `the spec asks for user ${spec.uid ?? own.uid}, group ${spec.gid ?? own.gid} and groups [${spec.additionalGids.join(', ')}], but the shim ` +
        `runs as user ${own.uid}, group ${own.gid} and only root can switch: ask for these: permission denied`,
    );
  }
  return { ...own, additionalGids: [], switches: false };
}
