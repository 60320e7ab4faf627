import type { SandboxRef } from '../../shared/identifiers.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { SandboxExit, StartSandboxReply } from '../../shared/messages/index.ts';
import type { Timestamp } from '../../shared/wire/timestamp.ts';
import type { StoredSandboxExit } from '../../store/sandbox-exit-store.ts';
import type { Shim } from '../shim.ts';
import { Waiters } from '../waiters.ts';

/**
 * What is known of a sandbox.
 *
 * - `created`: its shim has it.
 * - `starting`: StartSandbox is under way, or was cut off and is settled by the next adoption.
 * - `running`
 * - `ending`: it ended by itself; its workloads are being ended, and nobody was told yet.
 * - `stopped`: it ended; the exit is in the store.
 * - `removed`: it is in no list any more.
 */
export type SandboxState =
  | { readonly kind: 'created' }
  | { readonly kind: 'starting' }
  | { readonly kind: 'running' }
  | { readonly kind: 'ending'; readonly exit: SandboxExit }
  | { readonly kind: 'stopped'; readonly exit: StoredSandboxExit }
  | { readonly kind: 'removed' };

/** What became of a start, for the client. */
export interface StartedSandbox extends StartSandboxReply {
  /** Where a client, or its tasks, find the shim: `ttrpc+unix:///…`. */
  readonly address: string;
  readonly apiVersion: number;
}

/** A group of tasks that share a shim, and its end. */
export class Sandbox {
  readonly ref: SandboxRef;
  /** As the client wrote it. */
  readonly runtime: string;
  /** Undefined once it is gone. */
  shim: Shim | undefined;
  /** Those who wait for its end. Rejected where it goes without one. */
  readonly waiters = new Waiters<StoredSandboxExit>();
  /** 0 where it has no process of its own. */
  pid = 0;
  createdAt: Timestamp | undefined;
  /** Somebody asked for its end: it takes no more tasks, and that its shim goes is no accident. */
  ending = false;
  /** Its shim is being asked to start it: the answer says what became of that, and no adoption beside it. */
  startUnderWay = false;
  /** Its start failed, as its client was told: that it ends is told to nobody. */
  startFailed = false;
  /** It ended while the daemon was down: the event is kept until somebody listens. */
  endedUnseen = false;
  /** An end that overtook the reply to the start. */
  earlyExit: SandboxExit | undefined;
  /** Calls under way; a second caller joins them. */
  stop: Promise<void> | undefined;
  shutdown: Promise<void> | undefined;
  /** The removal of its bundle after its shim is gone: its id is not free before. Never rejects. */
  removal: Promise<void> | undefined;
  readonly #logger: Logger;
  #state: SandboxState;

  constructor(options: {
    readonly ref: SandboxRef;
    readonly runtime: string;
    readonly shim: Shim | undefined;
    readonly state: SandboxState;
    readonly logger: Logger;
  }) {
    this.ref = options.ref;
    this.runtime = options.runtime;
    this.shim = options.shim;
    this.#state = options.state;
    this.#logger = options.logger;
  }

  get state(): SandboxState {
    return this.#state;
  }

  /** Only this changes the state. */
  set(state: SandboxState): void {
    const from = this.#state.kind;
    this.#state = state;
    this.#logger.debug('sandbox state', { ...this.ref, from, to: state.kind, pid: this.pid });
  }

  /** True where a start of it was told to somebody, or may have been. */
  get wasStarted(): boolean {
    const { kind } = this.#state;
    return !this.startFailed && (kind === 'starting' || kind === 'running' || kind === 'ending');
  }
}
