import { TaskError } from '../shared/errors/index.ts';
import { deadlineIn, until } from '../shared/util/deadline.ts';
import { type Change, WriteSet } from './write-set.ts';

/** Changes that one transaction takes: what they need beside their values has to fit into the reserve. */
const maxChanges = 32;
/** Bytes of values after which a transaction takes no further change. */
const maxBytes = 4 * 1024 * 1024;
/** Changes that wait for the transaction before them. */
const maxWaiting = 4096;
/** How long a caller waits for its change to be on the disk, in milliseconds. */
const patience = 60_000;

interface Waiting {
  /** Makes the change; what it throws undoes it. */
  readonly make: (change: Change) => void;
  readonly committed: () => void;
  readonly failed: (error: unknown) => void;
}

export interface GroupCommitOptions {
  readonly name: string;
  /** Makes room for a transaction that puts `bytes` of values in `changes` changes. Throws RESOURCE_EXHAUSTED. */
  reserve(bytes: number, changes: number): void;
  /** Writes all of it or nothing; on the disk when it resolves. */
  commit(writes: WriteSet): Promise<void>;
}

/**
 * Puts changes on the disk, one transaction at a time: while the disk is busy with one, the changes that come are gathered
 * for the next. So the thread never waits for the disk, and many callers share one sync.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  /**
   * Resolves when what `make` wrote is on the disk, with what it returned. It runs later, sees all changes before it, and what it
   * throws undoes its own writes and nothing else.
   * Throws RESOURCE_EXHAUSTED where too many wait or the file system is full, DEADLINE_EXCEEDED after a minute: it may be
   * written all the same.
   */
  change<T>(make: (change: Change) => T): Promise<T> {
    const { name } = this.#options;
    if (this.#waiting.length >= maxWaiting) {
      const error = new TaskError(
        'RESOURCE_EXHAUSTED',
        `cannot write to ${name}: ${maxWaiting} changes wait for its disk already, try again later: resource exhausted`,
      );
      return Promise.reject(error);
    }
    const done = new Promise<T>((resolve, reject) => {
      let result: { readonly value: T } | undefined;
      this.#waiting.push({
        make: (change) => {
          result = { value: make(change) };
        },
        committed: () => {
          if (result !== undefined) resolve(result.value);
        },
        failed: reject,
      });
    });
    this.#running ??= this.#run();
    return until(done, { deadline: deadlineIn(patience), doing: `writing to ${name}` });
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    // Whoever comes in the same turn shares the transaction.
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#commitNext();
    this.#running = undefined;
  }

  async #commitNext(): Promise<void> {
    const all = new WriteSet();
    const made: Waiting[] = [];
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (made.length >= maxChanges || all.bytes >= maxBytes) break;
      this.#waiting.shift();
      if (this.#make(next, all, made.length)) made.push(next);
    }
    try {
      if (!all.isEmpty) await this.#options.commit(all);
      for (const { committed } of made) committed();
    } catch (error) {
      for (const { failed } of made) failed(error);
    }
  }

  /** False where it failed, and then `all` is as it was. */
  #make(waiting: Waiting, all: WriteSet, others: number): boolean {
    const own = new WriteSet(all);
    try {
      waiting.make(own);
      if (!own.isEmpty) this.#options.reserve(all.bytes + own.bytes, others + 1);
    } catch (error) {
      waiting.failed(error);
      return false;
    }
    all.add(own);
    return true;
  }
}
