import { TaskError } from '../shared/errors/index.ts';
import type { Trouble } from '../shared/health.ts';
import type { ProcessRef } from '../shared/identifiers.ts';
import type { Logger } from '../shared/log/logger.ts';
import type { ExitStore, Owed, StoredExit } from '../store/exit-store.ts';
import type { Retries } from './retries.ts';
import type { TaskProcess } from './task-process.ts';

interface Refused {
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
  readonly #retries: Retries;

  /** Whoever closes `retries` lets them have a last try. */
  constructor(exits: ExitStore, retries: Retries, logger: Logger) {
    this.#exits = exits;
    this.#retries = retries;
    this.#logger = logger;
  }

  /** Answers what is known of the end from now on. Never throws. */
  store(process: TaskProcess, exit: StoredExit): StoredExit {
    const { ref } = process;
    try {
      const known = this.#exits.put(ref, exit) === 'kept' ? (this.#exits.get(ref) ?? exit) : exit;
      this.#refused.delete(keyOf(ref));
      this.#retries.delete(keyOf(ref));
      return known;
    } catch (error) {
      this.#reason = TaskError.from(error).message;
      this.#logger.error('exit not stored', { ...ref, status: exit.status, error: this.#reason });
      if (this.#retries.size === 0) this.#since = Date.now();
      // By the time it is stored its event is out.
      const refused: Refused = { exit: { ...exit, after: undefined } };
      this.#refused.set(keyOf(ref), refused);
      this.#retries.add(keyOf(ref), () => {
        // What was deleted meanwhile has no exit any more.
        if (process.state.kind === 'stopped') this.#exits.put(ref, refused.exit);
        this.#refused.delete(keyOf(ref));
        this.#logger.info('exit stored late', { ...ref, status: exit.status });
      });
      return exit;
    }
  }

  /** True while its exit is told, and the disk does not take it. */
  refused(ref: ProcessRef): boolean {
    return this.#refused.has(keyOf(ref));
  }

  get(ref: ProcessRef): StoredExit | undefined {
    return this.#refused.get(keyOf(ref))?.exit ?? this.#exits.get(ref);
  }

  /** Degraded while exits are told that are not stored yet: a daemon that is killed now would tell them again. */
  get trouble(): Trouble | undefined {
    const { size } = this.#retries;
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
}

function keyOf({ namespace, task, exec }: ProcessRef): string {
  return `task ${namespace}/${task}/${exec ?? ''}`;
}
