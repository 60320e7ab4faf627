/** How services are restarted. Durations in milliseconds. */
export interface RestartConfig {
  /** How often what services shall be is compared with what they are. Ends of tasks are seen at once all the same. */
  readonly interval: number;
  /** Pause before the first restart; doubled with each one in a row, up to `longestPause`. */
  readonly firstPause: number;
  readonly longestPause: number;
  /** A task that ran as long as this is taken for healthy: its end begins a new row. */
  readonly healthyAfter: number;
  /** How long a client has to finish what it began: to create or start a task, or to remove the container of one it deleted. */
  readonly grace: number;
  /** Tasks that are created and started at once. */
  readonly parallel: number;
  /** A log label may name files below these directories, although nobody knows who wrote the label. */
  readonly logDirectories: readonly string[];
  /** A log label may name a program. It runs as the daemon's user. */
  readonly binaryLogs: boolean;
}

export const defaultRestart: RestartConfig = {
  interval: 10_000,
  firstPause: 100,
  longestPause: 60_000,
  healthyAfter: 10_000,
  grace: 30_000,
  parallel: 16,
  logDirectories: ['/var/log'],
  binaryLogs: false,
};
