import { setTimeout as delay } from 'node:timers/promises';
import { decodeError, TaskError, unavailable } from '../shared/errors/index.ts';
import type { Logger } from '../shared/log/logger.ts';
import type { OperationKind, OperationOf, Outcome, ReplyOf, Report, WorkerSettings } from '../shared/messages/index.ts';
import { deadlineIn, until } from '../shared/util/deadline.ts';
import { deferred } from '../shared/util/deferred.ts';
import { Backoff } from './backoff.ts';
import { Thread, type Transfer } from './thread.ts';

/**
 * What a slot is doing.
 *
 * - `starting`: its thread loads the entry and is given its port; operations wait.
 * - `ready`: operations go to the thread.
 * - `waiting`: the thread is lost, the next one starts after `pause` milliseconds; operations wait.
 * - `closed`: for good.
 */
export type SlotState =
  | { readonly kind: 'starting' }
  | { readonly kind: 'ready'; readonly threadId: number }
  | { readonly kind: 'waiting'; readonly pause: number; readonly reason: string }
  | { readonly kind: 'closed' };

/** Why a slot has no thread that serves. */
export interface SlotTrouble {
  /** When the last thread that served was lost, in milliseconds since 1970. */
  readonly since: number;
  /** Of the latest loss. */
  readonly reason: string;
}

export interface SlotOptions {
  readonly id: number;
  readonly entry: URL;
  /** A thread that has begun to load it, where there is one. */
  readonly takeThread?: (() => Thread | undefined) | undefined;
  readonly settings: WorkerSettings;
  readonly logger: Logger;
  readonly onReport: (slot: Slot, report: Report) => void;
  /** Told after every operation of the thread was rejected. */
  readonly onThreadLost: (slot: Slot, reason: string) => void;
  /** Told when the next thread serves; not for the first one. */
  readonly onThreadReplaced: (slot: Slot) => void;
  /** Operations at once; more are refused with RESOURCE_EXHAUSTED. Default 10 000. */
  readonly maxOperations?: number | undefined;
  /** Milliseconds after an operation's deadline until main stops waiting for the thread. Default 1 000. */
  readonly grace?: number | undefined;
}

/** For loading the entry and its modules on a busy machine. */
const attachBudget = 30_000;

/** One worker thread with an identity that outlives the thread: a lost one is replaced, with back-off. */
export class Slot {
  readonly id: number;
  readonly #options: SlotOptions;
  readonly #logger: Logger;
  readonly #maxOperations: number;
  readonly #grace: number;
  readonly #backoff = new Backoff();
  readonly #closing = new AbortController();
  readonly #pending = new Set<(error: TaskError) => void>();
  #state: SlotState = { kind: 'starting' };
  #thread: Thread | undefined;
  /** Settles when the state leaves `starting` and `waiting`. */
  #served = deferred<void>();
  #waiting = 0;
  /** The first thread has served; from then on a lost one is replaced. */
  #replacing = false;
  #losses = 0;
  #trouble: SlotTrouble | undefined;

  private constructor(options: SlotOptions) {
    this.id = options.id;
    this.#options = options;
    this.#logger = options.logger.child({ slot: options.id });
    this.#maxOperations = options.maxOperations ?? 10_000;
    this.#grace = options.grace ?? 1000;
    this.#served.promise.catch(() => undefined);
  }

  /** Resolves when the first thread serves. Throws UNAVAILABLE where it does not start at all. */
  static async open(options: SlotOptions): Promise<Slot> {
    const slot = new Slot(options);
    try {
      await slot.#start();
    } catch (error) {
      await slot.close();
      throw unavailable(`starting the thread of slot ${options.id}: ${TaskError.from(error).message}`, error);
    }
    return slot;
  }

  get state(): SlotState {
    return this.#state;
  }

  /** Undefined where its thread serves. */
  get trouble(): SlotTrouble | undefined {
    return this.#trouble;
  }

  /** Operations that were not answered yet. */
  get operations(): number {
    return this.#pending.size + this.#waiting;
  }

  /** Threads lost so far. */
  get losses(): number {
    return this.#losses;
  }

  /**
   * Runs an operation in the thread; while that is being replaced, waits for the next one.
   * Throws what the thread answers; UNAVAILABLE when the thread is lost or the slot closed; RESOURCE_EXHAUSTED when it
   * has too many operations; DEADLINE_EXCEEDED when it is silent past the operation's deadline.
   */
  async run<K extends OperationKind>(
    operation: OperationOf<K> & { readonly kind: K },
    transfer?: Transfer,
  ): Promise<ReplyOf<K>> {
    if (this.operations >= this.#maxOperations) {
      throw new TaskError(
        'RESOURCE_EXHAUSTED',
        `${operation.kind}: slot ${this.id} has ${this.operations} operations in flight: try again later`,
      );
    }
    const thread = await this.#serving(operation);
    const ended = deferred<Outcome<K>>();
    const reject = (error: TaskError) => ended.reject(error);
    this.#pending.add(reject);
    try {
      thread.run<K>(operation, transfer).then(
        (outcome) => ended.resolve(outcome),
        (error: unknown) => {
          ended.reject(
            new TaskError('INTERNAL', `${operation.kind} in slot ${this.id}: ${TaskError.from(error).message}`, {
              cause: error,
            }),
          );
        },
      );
      // The thread keeps the deadline itself; this ends the wait where the thread hangs.
      const outcome = await until(ended.promise, {
        deadline: operation.deadline + this.#grace,
        doing: `${operation.kind} in slot ${this.id}`,
      });
      if (!outcome.ok) throw decodeError(outcome.error);
      return outcome.reply;
    } finally {
      this.#pending.delete(reject);
    }
  }

  /** Ends the thread on purpose; resolves when it is gone. The next one starts as after any loss. */
  async restart(): Promise<void> {
    if (this.#state.kind === 'closed') throw unavailable(`slot ${this.id} is closed`);
    await this.#thread?.stop('restart was asked for');
  }

  /** Ends the thread; every operation in flight is rejected with UNAVAILABLE. */
  async close(): Promise<void> {
    if (this.#state.kind === 'closed') return;
    this.#set({ kind: 'closed' });
    this.#closing.abort();
    this.#served.reject(unavailable(`slot ${this.id} is closed`));
    const thread = this.#thread;
    this.#thread = undefined;
    this.#reject('it was closed');
    await thread?.stop('the slot was closed');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The thread that serves, at the latest at the operation's deadline. */
  async #serving(operation: { readonly kind: OperationKind; readonly deadline: number }): Promise<Thread> {
    if (this.#state.kind !== 'ready') {
      this.#waiting += 1;
      try {
        await until(this.#served.promise, {
          deadline: operation.deadline,
          doing: `${operation.kind}: waiting for the thread of slot ${this.id}`,
        });
      } finally {
        this.#waiting -= 1;
      }
    }
    if (this.#thread === undefined) throw unavailable(`${operation.kind}: slot ${this.id} has no thread`);
    return this.#thread;
  }

  async #start(): Promise<void> {
    this.#set({ kind: 'starting' });
    const thread = this.#options.takeThread?.() ?? new Thread(this.#options.entry);
    thread.listen({
      report: (report) => this.#options.onReport(this, report),
      end: (reason) => this.#onThreadEnd(thread, reason),
    });
    this.#thread = thread;
    const died = deferred<never>();
    const reject = (error: TaskError) => died.reject(error);
    this.#pending.add(reject);
    try {
      const threadId = await Promise.race([
        thread.attach(this.#options.settings, deadlineIn(attachBudget)),
        died.promise,
      ]);
      if (this.#thread !== thread) throw unavailable('the thread was lost while it started');
      this.#trouble = undefined;
      this.#set({ kind: 'ready', threadId });
      this.#served.resolve();
    } finally {
      this.#pending.delete(reject);
    }
  }

  #onThreadEnd(thread: Thread, reason: string): void {
    if (this.#thread !== thread) return;
    this.#thread = undefined;
    this.#losses += 1;
    this.#trouble = { since: this.#trouble?.since ?? Date.now(), reason };
    const served = this.#state.kind === 'ready';
    if (served) {
      this.#served = deferred();
      this.#served.promise.catch(() => undefined);
    }
    const pause = this.#backoff.next(Date.now() - thread.startedAt);
    this.#set({ kind: 'waiting', pause, reason });
    this.#reject(reason);
    if (served) this.#options.onThreadLost(this, reason);
    // A first thread that does not start is `open`'s to report.
    if (served || this.#replacing) this.#replace(pause);
  }

  /** Starts threads until one serves; each try that fails comes back here through its own end. */
  #replace(pause: number): void {
    this.#replacing = true;
    this.#startAfter(pause).catch((error: unknown) => {
      if (this.#closing.signal.aborted) return;
      const { message } = TaskError.from(error);
      this.#logger.error('thread not started', { error: message });
      // An entry that answers with an error leaves a thread that lives and serves nothing.
      this.#thread?.stop(`it could not be attached: ${message}`).catch(() => undefined);
    });
  }

  async #startAfter(pause: number): Promise<void> {
    if (pause > 0) await delay(pause, undefined, { signal: this.#closing.signal });
    if (this.#closing.signal.aborted) return;
    await this.#start();
    this.#replacing = false;
    this.#options.onThreadReplaced(this);
  }

  #reject(reason: string): void {
    const error = unavailable(`the thread of slot ${this.id} was lost: ${reason}`);
    const pending = [...this.#pending];
    this.#pending.clear();
    for (const reject of pending) reject(error);
  }

  /** Only this changes the state. */
  #set(state: SlotState): void {
    const from = this.#state.kind;
    this.#state = state;
    const level = state.kind === 'waiting' ? 'warn' : 'debug';
    this.#logger[level]('slot state', {
      from,
      to: state.kind,
      ...(state.kind === 'waiting' ? { reason: state.reason, pause: state.pause } : {}),
    });
  }
}
