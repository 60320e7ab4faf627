import { unavailable } from '../shared/errors/index.ts';
import type { Namespace, ShimId, TaskId } from '../shared/identifiers.ts';
import type { Logger } from '../shared/log/logger.ts';
import type { PlacementMode, ShimInfo } from '../shared/messages/index.ts';
import { until } from '../shared/util/deadline.ts';
import type { Task } from './task.ts';
import type { TaskSlot } from './task-slot.ts';
import { Waiters } from './waiters.ts';

/**
 * What is known of one shim.
 *
 * - `starting`: its start action runs.
 * - `live`: its slot has a connection to it.
 * - `adopting`: its slot does not know it yet (a new thread, or a new daemon); calls wait.
 * - `silent`: it was asked and did not answer in time. It is asked again in the background; calls wait.
 * - `stopping`: it has no task and was asked to end.
 * - `gone`: nothing answers at its address; its tasks are cleaned up.
 */
export type ShimState =
  | { readonly kind: 'starting' }
  | { readonly kind: 'live'; readonly info: ShimInfo }
  | { readonly kind: 'adopting' }
  | { readonly kind: 'silent'; readonly reason: string }
  | { readonly kind: 'stopping' }
  | { readonly kind: 'gone'; readonly reason: string };

export interface ShimOptions {
  readonly namespace: Namespace;
  readonly id: ShimId;
  readonly mode: PlacementMode;
  readonly binary: string;
  /** Its bundle: the task's, or one under `.shims/`. */
  readonly bundle: string;
  readonly slot: TaskSlot;
  readonly state: ShimState;
  readonly logger: Logger;
}

/** One shim and the slot that owns it. */
export class Shim {
  readonly namespace: Namespace;
  readonly id: ShimId;
  readonly mode: PlacementMode;
  readonly binary: string;
  readonly bundle: string;
  readonly slot: TaskSlot;
  readonly tasks = new Set<Task>();
  /** Creates under way in it: a thread lost in their middle leaves half a task that adoption has to find. */
  readonly creating = new Set<TaskId>();
  /** Tasks that it did not answer for when it was adopted: they are asked for again. */
  readonly silent = new Set<TaskId>();
  /** Tasks that its slot is removing by force. */
  readonly removing = new Set<TaskId>();
  /** Tasks created in it so far. */
  lifetimeTasks = 0;
  /** It did not answer its last heartbeat. */
  late = false;
  /** It gets no new tasks, and ends with its last one. */
  retired = false;
  readonly #logger: Logger;
  readonly #usable = new Waiters<void>();
  #state: ShimState;
  #stateSince = Date.now();
  #overdue = 0;
  #overdueSince = 0;

  constructor(options: ShimOptions) {
    this.namespace = options.namespace;
    this.id = options.id;
    this.mode = options.mode;
    this.binary = options.binary;
    this.bundle = options.bundle;
    this.slot = options.slot;
    this.#state = options.state;
    this.#logger = options.logger.child({ namespace: options.namespace, shim: options.id, slot: options.slot.id });
  }

  get state(): ShimState {
    return this.#state;
  }

  /** When the state was entered, in milliseconds since 1970. */
  get stateSince(): number {
    return this.#stateSince;
  }

  /** Calls whose deadline passed since it last answered. */
  get overdue(): number {
    return this.#overdue;
  }

  set overdue(calls: number) {
    if (this.#overdue === 0 && calls > 0) this.#overdueSince = Date.now();
    this.#overdue = calls;
  }

  /** When the first of them passed its deadline, or a heartbeat was not answered, in milliseconds since 1970. */
  get overdueSince(): number {
    return this.#overdueSince;
  }

  get info(): ShimInfo | undefined {
    return this.#state.kind === 'live' ? this.#state.info : this.#lastInfo;
  }

  #lastInfo: ShimInfo | undefined;

  /** Only this changes the state. */
  set(state: ShimState): void {
    const from = this.#state.kind;
    this.#state = state;
    if (state.kind !== from) this.#stateSince = Date.now();
    if (state.kind === 'live') this.#lastInfo = state.info;
    const bad = state.kind === 'silent' || (state.kind === 'gone' && from !== 'stopping');
    this.#logger[bad ? 'warn' : 'debug']('shim state', {
      from,
      to: state.kind,
      ...('reason' in state ? { reason: state.reason } : {}),
    });
    if (state.kind === 'live') this.#usable.resolve();
    else if (state.kind === 'gone') this.#usable.reject(this.#goneError(state.reason));
  }

  /** Waits until calls can go to the shim. Throws UNAVAILABLE where it is gone, DEADLINE_EXCEEDED, CANCELLED. */
  async usable(limit: {
    readonly deadline: number;
    readonly doing: string;
    readonly signal?: AbortSignal | undefined;
  }): Promise<void> {
    if (this.#state.kind === 'live') return;
    if (this.#state.kind === 'gone') throw this.#goneError(this.#state.reason);
    const waiter = this.#usable.add();
    try {
      await until(waiter.promise, limit);
    } finally {
      waiter.forget();
    }
  }

  #goneError(reason: string) {
    return unavailable(`the shim ${this.id} is gone: ${reason}`);
  }
}
