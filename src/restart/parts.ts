import type { ProcessRef, SandboxId, TaskRef } from '../shared/identifiers.ts';
import type { Logger } from '../shared/log/logger.ts';
import type { Exit, Mount, ProcessSnapshot, Stdio } from '../shared/messages/index.ts';
import type { Any } from '../shared/wire/any.ts';
import type { Container, Store } from '../store/index.ts';
import type { RestartConfig } from './config.ts';
import type { Turns } from './turns.ts';

interface CallLimits {
  /** Milliseconds since 1970. */
  readonly deadline?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What the monitor needs of the supervisor. */
export interface Tasks {
  get(process: ProcessRef, call?: CallLimits): Promise<ProcessSnapshot>;
  create(
    task: TaskRef,
    request: {
      readonly runtime: string;
      readonly spec: Uint8Array;
      readonly rootfs: readonly Mount[];
      readonly stdio: Stdio;
      readonly options?: Any;
      readonly sandbox?: { readonly id: SandboxId; readonly isKnown: boolean };
    },
    call?: CallLimits,
  ): Promise<{ readonly pid: number }>;
  start(process: ProcessRef, call?: CallLimits): Promise<{ readonly pid: number }>;
  kill(
    process: ProcessRef,
    request: { readonly signal: number; readonly all: boolean },
    call?: CallLimits,
  ): Promise<void>;
  resume(task: TaskRef, call?: CallLimits): Promise<void>;
  wait(process: ProcessRef, call?: CallLimits): Promise<Exit>;
  delete(process: ProcessRef, call?: CallLimits): Promise<Exit>;
  destroy(task: TaskRef, call?: CallLimits): Promise<Exit>;
  /** How the task was made; undefined where its bundle is gone. */
  launchOf(
    task: TaskRef,
  ): Promise<
    | { readonly runtime: string; readonly rootfs: readonly Mount[]; readonly options?: Any; readonly stdio: Stdio }
    | undefined
  >;
  /** True while a create of the task is under way. */
  isBeingMade(task: TaskRef): boolean;
  /** Publishes what is held back of the task for clients that are not back yet: it is about to go. */
  tellHeld(task: TaskRef): void;
}

/** What the monitor's parts share. */
export interface Parts {
  readonly config: RestartConfig;
  readonly tasks: Tasks;
  readonly store: Pick<Store, 'containers' | 'namespaces' | 'sandboxes'>;
  readonly logger: Logger;
  /** Told of every change that the monitor makes to a container. */
  readonly changed: (task: TaskRef, container: Container) => void;
  /** Bounds how many tasks are made at once. */
  readonly turns: Turns;
  /** Aborted when the monitor closes: nothing more is begun. */
  readonly signal: AbortSignal;
  /** Aborted when nobody waits for the rest any more: the store may be closed. */
  readonly ended: AbortSignal;
}
