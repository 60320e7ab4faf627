import {
  type ExecId,
  type Namespace,
  parseExecId,
  parseNamespace,
  parseShimId,
  parseTaskId,
  type ShimId,
  type TaskId,
} from './identifiers.ts';
import { anyOf, type Json, jsonOfAny, mountsOf, objectOf, textOf } from './json-fields.ts';
import type { Mount, Stdio } from './messages/process.ts';
import type { PlacementMode } from './messages/shim.ts';
import { placementModes } from './placement-mode.ts';
import type { Any } from './wire/any.ts';

/** `task.json` of a bundle: everything that adoption has to know and no shim tells. Written before Create. */
export interface TaskRecord {
  readonly namespace: Namespace;
  readonly task: TaskId;
  /** The shim that the task was created in; with mode `shared` its bundle is under `.shims/`, with `sandbox` under `.sandboxes/`. */
  readonly shim: ShimId;
  readonly mode: PlacementMode;
  /** Absolute path of the shim's binary, for the `delete` action. */
  readonly binary: string;
  /** The runtime as the client wrote it. */
  readonly runtime: string;
  /** Init's stdio as the client gave it. */
  readonly stdio: Stdio;
  /** What was mounted as its root, and the runtime's options as the client gave them: to make the task again. */
  readonly rootfs?: readonly Mount[] | undefined;
  readonly options?: Any | undefined;
}

/** One line of `processes.jsonl`. A later line about the same process replaces an earlier one. */
export interface ProcessRecord {
  /** Absent for init. */
  readonly exec?: ExecId | undefined;
  /** 0 while the process was not started. */
  readonly pid: number;
  readonly stdio: Stdio;
  /** In clock ticks since boot, as /proc tells it: a later process with the same pid has another. */
  readonly startTime?: number | undefined;
  /** Start was sent, of an exec: where its shim calls it created all the same, that Start was cut off. */
  readonly starting?: boolean | undefined;
  /** It starts by being restored from a checkpoint, and has no pid before that. Of init. */
  readonly restores?: boolean | undefined;
  /** The process was deleted: there is nothing to find any more. */
  readonly deleted?: boolean | undefined;
}

function parseObject(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : undefined;
  } catch {
    return undefined;
  }
}

function stdioOf(value: unknown): Stdio {
  const from = objectOf(value);
  return {
    stdin: textOf(from['stdin']),
    stdout: textOf(from['stdout']),
    stderr: textOf(from['stderr']),
    terminal: from['terminal'] === true,
  };
}

function identified<Id>(value: unknown, parse: (text: string) => Id): Id | undefined {
  try {
    return typeof value === 'string' ? parse(value) : undefined;
  } catch {
    return undefined;
  }
}

export function formatTaskRecord(record: TaskRecord): string {
  const options = record.options && jsonOfAny(record.options);
  return `${JSON.stringify({ ...record, options })}\n`;
}

/** Undefined where the text is no record of a task: cut off, foreign, or with ids that are none. */
export function parseTaskRecord(text: string): TaskRecord | undefined {
  const from = parseObject(text);
  if (from === undefined) return undefined;
  const namespace = identified(from['namespace'], parseNamespace);
  const task = identified(from['task'], parseTaskId);
  const shim = identified(from['shim'], parseShimId);
  const mode = placementModes.find((known) => known === from['mode']);
  if (namespace === undefined || task === undefined || shim === undefined || mode === undefined) return undefined;
  return {
    namespace,
    task,
    shim,
    mode,
    binary: textOf(from['binary']),
    runtime: textOf(from['runtime']),
    stdio: stdioOf(from['stdio']),
    ...(from['rootfs'] === undefined ? {} : { rootfs: mountsOf(from['rootfs']) }),
    ...(from['options'] === undefined ? {} : { options: anyOf(from['options']) }),
  };
}

export function formatProcessRecord(record: ProcessRecord): string {
  return `${JSON.stringify(record)}\n`;
}

/**
 * The last word on each process, init first, deleted ones left out. Lines that are cut off (the writer died) or
 * foreign are skipped.
 */
export function parseProcessRecords(text: string): ProcessRecord[] {
  const records = new Map<string, ProcessRecord>();
  for (const line of text.split('\n')) {
    const from = parseObject(line);
    if (from === undefined) continue;
    const exec = from['exec'] === undefined ? undefined : identified(from['exec'], parseExecId);
    if (from['exec'] !== undefined && exec === undefined) continue;
    const pid = Number.isSafeInteger(from['pid']) ? Number(from['pid']) : 0;
    if (from['deleted'] === true) records.delete(exec ?? '');
    else {
      records.set(exec ?? '', {
        ...(exec === undefined ? {} : { exec }),
        pid,
        stdio: stdioOf(from['stdio']),
        ...(Number.isSafeInteger(from['startTime']) ? { startTime: Number(from['startTime']) } : {}),
        ...(from['starting'] === true ? { starting: true } : {}),
        ...(from['restores'] === true ? { restores: true } : {}),
      });
    }
  }
  const init = records.get('');
  records.delete('');
  return init === undefined ? [...records.values()] : [init, ...records.values()];
}
