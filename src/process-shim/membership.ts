/** All processes of one task, also those that left its session or lost their parents. */
export interface Membership {
  /** Variables that the task's processes are started with so that they can be told from others. */
  readonly environment: readonly string[];
  /** What a later program needs to find the members again; see `recorded-membership.ts`. */
  readonly recorded: RecordedMembership;
  /** Makes a process that has not run its program yet a member. Its children will be members too. */
  add(pid: number): void;
  pids(): Promise<readonly number[]>;
  /** Stops all members, and those that they are about to start. Throws where some still run after a while. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Releases what the membership holds on the host; to be called when no member is left. */
  remove(): Promise<void>;
}

export type RecordedMembership =
  | { readonly kind: 'cgroup'; readonly directory: string; readonly version: 1 | 2 }
  | { readonly kind: 'marker'; readonly marker: string };
