/** One task of a load: what it does, and the status that it has to end with. */
export interface TaskPlan {
  /** For `/bin/sh -c`. */
  readonly script: string;
  /** 0–255; 128 + n where signal n is to end it. */
  readonly expected: number;
  /** The signal that ends it; absent for one that ends by itself. */
  readonly signal?: number;
}

export interface MixOptions {
  /** How long each task runs, in milliseconds. */
  readonly taskMs: number;
  /** Signals to end tasks with. */
  readonly signals: readonly number[];
}

/** The statuses of a load's tasks that end by themselves: mostly success, and those that are easily mistaken. */
const statuses = [0, 0, 1, 0, 3, 0, 42, 0, 255] as const;

/** SIGKILL ends everything. SIGTERM would be ignored by the first process of a pid namespace. */
export const containerSignals: readonly number[] = [9];
export const processSignals: readonly number[] = [9, 15];

/** A task that is never ended ends by itself at last, in seconds: nothing of a load may stay for ever. */
const longestLife = 900;

/** Runs until it is killed. */
export const untilKilled = `exec sleep ${longestLife}`;

/** The plan of a load's task number `index`: one in ten is killed, the others end with the statuses in turn. */
export function mixedPlan(index: number, options: MixOptions): TaskPlan {
  const place = index % (statuses.length + 1);
  const status = statuses[place];
  if (status === undefined) {
    const turn = Math.floor(index / (statuses.length + 1)) % options.signals.length;
    return killedBy(options.signals[turn] ?? 9, untilKilled);
  }
  const pause = options.taskMs > 0 ? `sleep ${options.taskMs / 1000}; ` : '';
  return { script: `${pause}exit ${status}`, expected: status };
}

export function killedBy(signal: number, script: string): TaskPlan {
  return { script, expected: 128 + signal, signal };
}
