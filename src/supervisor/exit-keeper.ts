import { TaskError } from '../shared/errors/index.ts';
import type { Trouble } from '../shared/health.ts';
import type { ProcessRef } from '../shared/identifiers.ts';
import type { Logger } from '../shared/log/logger.ts';
import type { ExitStore, Owed, StoredExit } from '../store/exit-store.ts';
import type { TaskProcess } from './task-process.ts';

/** Milliseconds between two tries to store what was refused. */
const pause = 1000;

interface Refused {
  readonly process: TaskProcess;
  exit: StoredExit;
}

/**
 * Stores exits, once. One that a full disk refuses is told all the same, and stored when there is room again: told twice,
 * or with another status, it is only where the daemon is killed before that.
 */
export class ExitKeeper {
  readonly #exits: ExitStore;
  readonly #logger: Logger;
  /** By process; no more than there are in the registry. */
  readonly #refused = new Map<string, Refused>();
  /** Why the latest of them was refused, and since when there are any. */
  #reason = '';
  #since = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(exits: ExitStore, logger: Logger) {
    this.#exits = exits;
    this.#logger = logger;
  }

  /** Answers what is known of the end from now on. Never throws. */
  store(process: TaskProcess, exit: StoredExit): StoredExit {
    const { ref } = process;
    try {
      const known = this.#exits.put(ref, exit) === 'kept' ? (this.#exits.get(ref) ?? exit) : exit;
      this.#refused.delete(keyOf(ref));
      return known;
    } catch (error) {
      this.#reason = TaskError.from(error).message;
      this.#logger.error('exit not stored', { ...ref, status: exit.status, error: this.#reason });
      if (this.#refused.size === 0) this.#since = Date.now();
      // By the time it is stored its event is out.
      this.#refused.set(keyOf(ref), { process, exit: { ...exit, after: undefined } });
      this.#timer ??= setTimeout(() => this.#again(), pause);
      return exit;
    }
  }

  get(ref: ProcessRef): StoredExit | undefined {
    return this.#refused.get(keyOf(ref))?.exit ?? this.#exits.get(ref);
  }

  /** Degraded while exits are told that are not stored yet: a daemon that is killed now would tell them again. */
  get trouble(): Trouble | undefined {
    const { size } = this.#refused;
    if (size === 0) return undefined;
    const reason = `told but not stored yet, and tried again every second: ${size}: ${this.#reason}`;
    return { state: 'degraded', since: this.#since, reason };
  }

  /** Whom a stored exit is still owed to. Where that cannot be noted, it is told once more after the next restart. */
  setOwed(ref: ProcessRef, owed: Owed | undefined): void {
    const refused = this.#refused.get(keyOf(ref));
    if (refused !== undefined) refused.exit = { ...refused.exit, owed };
    try {
      this.#exits.setOwed(ref, owed);
    } catch (error) {
      this.#logger.warn('exit not noted as told', { ...ref, error: TaskError.from(error).message });
    }
  }

  /** A last try. */
  close(): void {
    this.#again();
    clearTimeout(this.#timer);
    this.#refused.clear();
  }

  #again(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [key, { process, exit }] of this.#refused) {
      try {
        // What was deleted meanwhile has no exit any more.
        if (process.state.kind === 'stopped') this.#exits.put(process.ref, exit);
      } catch {
        this.#timer ??= setTimeout(() => this.#again(), pause);
        return;
      }
      this.#refused.delete(key);
      this.#logger.info('exit stored late', { ...process.ref, status: exit.status });
    }
  }
}

function keyOf({ namespace, task, exec }: ProcessRef): string {
  return `${namespace}/${task}/${exec ?? ''}`;
}
