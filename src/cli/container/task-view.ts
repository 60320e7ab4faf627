import type { ResponseOf, tasksDefinition } from '../../shared/grpc/index.ts';
import { millisecondsOf, plainTimestamp } from '../../shared/wire/timestamp.ts';

type WireProcess = NonNullable<ResponseOf<typeof tasksDefinition.list>['tasks'][number]>;

/** By the number on the wire. */
const statusNames = ['unknown', 'created', 'running', 'stopped', 'paused', 'pausing'] as const;
export type StatusName = (typeof statusNames)[number];

/** A task as the CLI shows it. */
export interface TaskView {
  readonly pid: number;
  readonly status: StatusName;
  /** Of a stopped task. */
  readonly exitStatus: number | undefined;
  /** ISO 8601; of a stopped task. */
  readonly exitedAt: string | undefined;
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

export function taskView(process: WireProcess): TaskView {
  const status = statusNames[process.status ?? 0] ?? 'unknown';
  const stopped = status === 'stopped';
  return {
    pid: process.pid ?? 0,
    status,
    exitStatus: stopped ? (process.exitStatus ?? 0) : undefined,
    exitedAt: stopped ? isoTime(process.exitedAt) : undefined,
    stdin: process.stdin ?? '',
    stdout: process.stdout ?? '',
    stderr: process.stderr ?? '',
    terminal: process.terminal ?? false,
  };
}

type WireTime = Parameters<typeof plainTimestamp>[0];

/** ISO 8601 with milliseconds; undefined for no time. */
export function isoTime(time: WireTime): string | undefined {
  const plain = plainTimestamp(time);
  return plain && new Date(millisecondsOf(plain)).toISOString();
}
