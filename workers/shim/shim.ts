import type { TaskError } from '../../src/shared/errors/index.ts';
import type { ShimRef, TaskId } from '../../src/shared/identifiers.ts';
import type { PlacementMode, ShimInfo } from '../../src/shared/messages/index.ts';
import type { Task, TaskProcess } from '../task.ts';
import { type Bootstrap } from './bootstrap.ts';
import { writeBootstrap } from './bootstrap-file.ts';
import type { ShimConnection } from './connection.ts';
import { Forgetting } from './forgetting.ts';
import type { HostProcess } from './host-process.ts';
import { TaskClient } from './task-client.ts';

/**
 * live: serves calls.
 * stopping: was asked to end; takes no new task.
 * lost: its connection closed unexpectedly.
 */
export type ShimState = 'live' | 'stopping' | 'lost';

/** A create under way in a shim that is there for others, too. */
export interface PendingCreate {
  /** Makes it fail with `reason`, whatever it waits for. The shim may still make the task. */
  giveUp(reason: TaskError): void;
  /** Resolves when it has succeeded or failed; what it made may still be undone then. Never rejects. */
  readonly over: Promise<void>;
}

/** A shim that this thread owns, with the tasks in it. */
export class Shim {
  readonly ref: ShimRef;
  readonly mode: PlacementMode;
  /** Absolute path; empty where a bundle of an older version does not tell it and its process neither. */
  binary: string;
  readonly bundle: string;
  /** Its task's spec names a group: other tasks may have the same shim process. */
  readonly grouped: boolean;
  /** Undefined where it is not known, or was started for another bundle: then it is not this one's to kill. */
  process: HostProcess | undefined;
  readonly tasks = new Map<TaskId, Task>();
  /** Tasks that name it and were not taken over, as it did not answer for them, with what their bundles tell. */
  readonly unadopted = new Map<TaskId, readonly TaskProcess[]>();
  state: ShimState = 'live';
  /** Creates under way. Shutdown in the middle of one makes some shims exit. */
  readonly creating = new Map<TaskId, PendingCreate>();
  /** Tasks whose Create was sent and has no answer: the shim may still make them, whoever waits for that. */
  readonly unanswered = new Set<TaskId>();
  /**
   * Resolves when everything that was in a lost shim is ended. To be waited for before a task is forgotten: a shim that was
   * lost meanwhile counts it as one of those that it ends, and would end the next one of its id.
   */
  loss: Promise<void> = Promise.resolve();
  /** Connections that were lost and made anew. */
  reconnects = 0;
  /** It did not answer its last heartbeat. */
  late = false;
  /** When it last told an exit that it was behind with, or ended a long call, by the monotonic clock, in milliseconds. */
  caughtUpAt = 0;
  /** Tasks that were ended without it. */
  readonly forgetting: Forgetting;
  /** To be called when there is a new connection to the same process: whoever waits in the old one waits anew. */
  onReconnect: (() => void) | undefined;
  #bootstrap: Bootstrap;
  #client: TaskClient;

  constructor(options: {
    readonly ref: ShimRef;
    readonly mode: PlacementMode;
    readonly binary: string;
    readonly bundle: string;
    readonly bootstrap: Bootstrap;
    readonly connection: ShimConnection;
    readonly process: HostProcess | undefined;
    readonly grouped: boolean;
  }) {
    this.ref = options.ref;
    this.mode = options.mode;
    this.binary = options.binary;
    this.bundle = options.bundle;
    this.process = options.process;
    this.grouped = options.grouped;
    this.forgetting = new Forgetting(options.bundle);
    this.#bootstrap = options.bootstrap;
    this.#client = this.#clientOf(options.connection);
  }

  get bootstrap(): Bootstrap {
    return this.#bootstrap;
  }

  get client(): TaskClient {
    return this.#client;
  }

  get info(): ShimInfo {
    return {
      namespace: this.ref.namespace,
      id: this.ref.shim,
      mode: this.mode,
      binary: this.binary,
      pid: this.process?.pid ?? 0,
      address: this.#bootstrap.address,
      protocol: this.#bootstrap.protocol,
      apiVersion: this.#client.version,
    };
  }

  /** Goes on over a new connection to the same process. */
  reconnect(connection: ShimConnection): void {
    this.#client = this.#clientOf(connection);
  }

  #clientOf(connection: ShimConnection): TaskClient {
    return new TaskClient({
      connection,
      namespace: this.ref.namespace,
      version: this.#bootstrap.version,
      onDowngrade: async () => {
        this.#bootstrap = { ...this.#bootstrap, version: 2 };
        writeBootstrap(this.bundle, this.#bootstrap);
      },
    });
  }
}
