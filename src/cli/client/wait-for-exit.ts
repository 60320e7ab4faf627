import { setTimeout as sleep } from 'node:timers/promises';
import { TaskError } from '../../shared/errors/index.ts';
import { tasksDefinition } from '../../shared/grpc/index.ts';
import type { Namespace } from '../../shared/identifiers.ts';
import { plainTimestamp, type Timestamp } from '../../shared/wire/timestamp.ts';
import type { Daemon } from './daemon.ts';

/** One process of a task, in the words of the API: an empty `exec` is init. */
export interface ProcessName {
  readonly namespace: Namespace;
  readonly task: string;
  readonly exec: string;
}

export interface ProcessExit {
  /** 0–255. */
  readonly status: number;
  readonly exitedAt: Timestamp | undefined;
}

/** Told when the daemon goes away during a wait, and when it is back. */
export interface LinkObserver {
  lost?(reason: TaskError): void;
  back?(): void;
}

const firstPause = 50;
const longestPause = 1000;

/**
 * Waits until a process has ended, across restarts of the daemon: the shim keeps the task and its exit, so a daemon
 * that comes back can still tell. Tries again for as long as it takes, with pauses of up to 1 s; only `signal` gives up.
 * Throws NOT_FOUND where the process was deleted meanwhile.
 */
export async function waitForExit(
  daemon: Daemon,
  process: ProcessName,
  signal: AbortSignal,
  observer: LinkObserver = {},
): Promise<ProcessExit> {
  let pause = firstPause;
  let lost = false;
  const request = { containerId: process.task, execId: process.exec };
  for (;;) {
    try {
      // A Wait that is not answered says nothing of the link, so after a loss something that is answered goes first.
      if (lost) {
        await daemon.call(tasksDefinition.get, process.namespace, request, { signal });
        observer.back?.();
        lost = false;
        pause = firstPause;
      }
      const answer = await daemon.callUntil(tasksDefinition.wait, process.namespace, request, signal);
      return { status: answer.exitStatus & 0xff, exitedAt: plainTimestamp(answer.exitedAt) };
    } catch (error) {
      if (signal.aborted || !(error instanceof TaskError) || error.code !== 'UNAVAILABLE') throw error;
      if (!lost) observer.lost?.(error);
      lost = true;
      await sleep(pause, undefined, { signal });
      pause = Math.min(pause * 2, longestPause);
    }
  }
}
