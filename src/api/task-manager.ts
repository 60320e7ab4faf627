import type { Envelope } from '../events/index.ts';
import type { ExecId, Namespace, ProcessRef, SandboxId, TaskRef } from '../shared/identifiers.ts';
import type { Exit, Mount, ProcessInfo, ProcessSnapshot, Stdio } from '../shared/messages/process.ts';
import type { RuntimeInfo } from '../shared/messages/reply.ts';
import type { ShimAddress, ShimInfo } from '../shared/messages/shim.ts';
import type { Vitals } from '../shared/util/vitals.ts';
import type { Any } from '../shared/wire/any.ts';
import type { SandboxManager } from './sandbox-manager.ts';

/** Limits of one call: the earlier of these and the task manager's own deadline holds. */
export interface CallLimits {
  /** Milliseconds since 1970. */
  readonly deadline?: number;
  /** Aborted when the caller has given up; what was begun goes on or is undone. */
  readonly signal?: AbortSignal;
}

export interface TaskCreation {
  /** A runtime's name, or the absolute path of a shim. */
  readonly runtime: string;
  /** The OCI spec, JSON. */
  readonly spec: Uint8Array;
  readonly rootfs: readonly Mount[];
  readonly stdio: Stdio;
  readonly options?: Any;
  /** Directory of the checkpoint to restore from. */
  readonly checkpoint?: string;
  /** Archive of changes to the root file system that belongs to it; it need not be there. */
  readonly rootfsDiff?: string;
  readonly sandbox?: SandboxMembership;
}

/** The sandbox that a task says it belongs to. */
export interface SandboxMembership {
  readonly id: SandboxId;
  /** Its metadata is stored: then it has to run somewhere. */
  readonly isKnown: boolean;
  /** Where it runs, where the client says so. */
  readonly at?: ShimAddress;
}

export interface TaskProcess extends ProcessSnapshot {
  readonly namespace: Namespace;
  readonly task: TaskRef['task'];
  readonly runtime: string;
}

export interface ShimSummary extends ShimInfo {
  readonly slot: number;
  readonly tasks: number;
}

/** A part of the log that a shim keeps of itself. */
export interface ShimLogPart {
  readonly shim: ShimInfo['id'];
  readonly content: Uint8Array;
  /** What was right before this part is not kept any more. */
  readonly dropped: boolean;
}

export interface SlotSummary {
  readonly id: number;
  readonly state: string;
  readonly shims: number;
  readonly tasks: number;
  /** In flight. */
  readonly operations: number;
  /** Threads lost so far. */
  readonly restarts: number;
  /** Undefined until its thread has told them. */
  readonly vitals?: Vitals | undefined;
}

/** What the API needs of the supervisor. Every method rejects with a TaskError. */
export interface TaskManager {
  readonly sandboxes: SandboxManager;
  create(task: TaskRef, request: TaskCreation, call?: CallLimits): Promise<{ readonly pid: number }>;
  start(process: ProcessRef, call?: CallLimits): Promise<{ readonly pid: number }>;
  exec(
    task: TaskRef,
    exec: ExecId,
    request: { readonly stdio: Stdio; readonly spec: Any },
    call?: CallLimits,
  ): Promise<void>;
  kill(
    process: ProcessRef,
    request: { readonly signal: number; readonly all: boolean },
    call?: CallLimits,
  ): Promise<void>;
  delete(process: ProcessRef, call?: CallLimits): Promise<Exit>;
  destroy(task: TaskRef, call?: CallLimits): Promise<Exit>;
  get(process: ProcessRef, call?: CallLimits): Promise<TaskProcess>;
  list(namespace?: Namespace, call?: CallLimits): Promise<readonly TaskProcess[]>;
  /** True while there is a task in the namespace, also one that is being made, which no list has. */
  hasTasks(namespace: Namespace): boolean;
  wait(process: ProcessRef, call?: CallLimits): Promise<Exit>;
  pids(task: TaskRef, call?: CallLimits): Promise<readonly ProcessInfo[]>;
  pause(task: TaskRef, call?: CallLimits): Promise<void>;
  resume(task: TaskRef, call?: CallLimits): Promise<void>;
  update(
    task: TaskRef,
    request: { readonly resources: Any; readonly annotations: Readonly<Record<string, string>> },
    call?: CallLimits,
  ): Promise<void>;
  stats(task: TaskRef, call?: CallLimits): Promise<Any>;
  checkpoint(
    task: TaskRef,
    request: { readonly path: string; readonly options?: Any; readonly exit?: boolean },
    call?: CallLimits,
  ): Promise<void>;
  resize(
    process: ProcessRef,
    request: { readonly width: number; readonly height: number },
    call?: CallLimits,
  ): Promise<void>;
  closeIo(process: ProcessRef, request: { readonly stdin: boolean }, call?: CallLimits): Promise<void>;
  runtimeInfo(request: { readonly runtime: string; readonly options?: Any }): Promise<RuntimeInfo>;
  shims(): readonly ShimSummary[];
  /** By the id of a task or a shim; of what is there `lines` and `bytes` at most. Throws NOT_FOUND. */
  shimLog(
    namespace: Namespace,
    id: string,
    request: { readonly lines?: number; readonly bytes?: number; readonly follow: boolean },
    call?: CallLimits,
  ): AsyncIterable<ShimLogPart>;
  slots(): readonly SlotSummary[];
  /** Tasks of all namespaces, and exits that are kept for clients who are away. */
  counts(): { readonly tasks: number; readonly owedExits: number };
  /** How the main thread is doing. */
  vitals(): Vitals & { readonly memory: number };
  restartSlot(id: number): Promise<void>;
  /** Takes an event that a shim forwarded. */
  receive(envelope: Envelope): void;
}
