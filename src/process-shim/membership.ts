import type { CgroupLimits } from './cgroup-limits.ts';
import type { ResourceLimits } from './resource-limits.ts';

/** All processes of one task, also those that left its session or lost their parents. */
export interface Membership {
  /** Variables that the task's processes are started with so that they can be told from others. */
  readonly environment: readonly string[];
  /** What a later program needs to find the members again; it grows with the first `update`. */
  readonly recorded: RecordedMembership;
  /** Makes a process that has not run its program yet a member. Its children will be members too. */
  add(pid: number): void;
  pids(): Promise<readonly number[]>;
  /** Stops all members, and those that they are about to start. Throws where some still run after a while. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /**
   * Limits what all members together may use; `announce` is called when `recorded` has grown, before anything is made.
   * Throws UNIMPLEMENTED where the host gives the shim no way to.
   */
  update(limits: ResourceLimits, announce: () => void): Promise<void>;
  /** What the limits are now; undefined where there can be none. */
  readonly limits: CgroupLimits | undefined;
  /** Releases what the membership holds on the host; to be called when no member is left. */
  remove(): Promise<void>;
}

export type RecordedMembership =
  | {
      readonly kind: 'cgroup';
      readonly directory: string;
      readonly version: 1 | 2;
      /** Further cgroups that hold limits, by controller. */
      readonly limits?: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'marker'; readonly marker: string };
