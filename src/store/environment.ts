import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
import { hasCode, isErrnoException, TaskError } from '../shared/errors/index.ts';
import type { Trouble } from '../shared/health.ts';
import { keepFileFromChildren } from '../shared/host/index.ts';
import { deadlineIn, until } from '../shared/util/deadline.ts';
import { checkDatabaseFile } from './database-file.ts';
import { GroupCommit } from './group-commit.ts';
import { Reserve } from './reserve.ts';
import type { Change, WriteSet } from './write-set.ts';

/** A named table of an environment: keys and values are bytes. */
export type Table = Database<Buffer, Buffer>;

export interface EnvironmentOptions {
  /** The tables; made where they are missing. */
  readonly tables: readonly string[];
  /**
   * `disk`: a write is on the disk when it returns. `process`: a write outlives the process when it returns, but a
   * power failure may leave the file unusable; whoever opens it has to know that there was none.
   */
  readonly durability: 'disk' | 'process';
}

/** What has to fit on the file system before a database is made or opened. */
const smallestFreeSpace = 1024 * 1024;
const lockFileSize = 16 * 1024;
/** Milliseconds that lmdb has to say why a commit failed. */
const reasonPatience = 1000;

/** One LMDB file. */
export class Environment {
  readonly #root: RootDatabase<Buffer, Buffer>;
  readonly #tables: ReadonlyMap<string, Table>;
  readonly #reserve: Reserve;
  readonly #file: string;
  readonly #durability: EnvironmentOptions['durability'];
  /** The latest write, where the file system refused it, and the first of those in a row. */
  #refused: { readonly error: TaskError; readonly bytes: number; readonly since: number } | undefined;
  readonly #group: GroupCommit;
  #closed = false;

  private constructor(file: string, options: EnvironmentOptions) {
    this.#file = file;
    this.#durability = options.durability;
    allocateLockFile(file);
    this.#root = openRoot(file, options);
    // LMDB passes it on: every shim, and what it starts, could write to it.
    keepFileFromChildren(file);
    this.#tables = new Map(options.tables.map((name) => [name, openTable(this.#root, name)]));
    this.#reserve = new Reserve(file);
    this.#group = new GroupCommit({
      name: `the metadata database ${file}`,
      reserve: (bytes, changes) => this.#makeRoom(bytes, changes),
      commit: (writes) => this.#commit(writes),
    });
  }

  /**
   * Opens the database `file`, or makes it where there is none.
   * Throws FAILED_PRECONDITION for a file that is no database, RESOURCE_EXHAUSTED where there is no room for one.
   */
  static async open(file: string, options: EnvironmentOptions): Promise<Environment> {
    try {
      if (checkDatabaseFile(file) === 'absent') await create(file, options);
      return new Environment(file, options);
    } catch (error) {
      throw storageError(error, `open the metadata database ${file}`);
    }
  }

  table(name: string): Table {
    const table = this.#tables.get(name);
    if (!table) throw new Error(`no table ${name} in ${this.#file}`);
    return table;
  }

  /**
   * Changes what is in it, without ever keeping the thread waiting for the disk: resolves when what `make` wrote is durable, with
   * what it returned. `make` runs later, when all changes before it were made, and must not write in any other way; what it throws
   * undoes it. Readers see the change when it is durable.
   * Throws RESOURCE_EXHAUSTED where the file system is full, DEADLINE_EXCEEDED after a minute.
   */
  async change<T>(make: (change: Change) => T): Promise<T> {
    this.#assertOpen();
    return this.#group.change(make);
  }

  /**
   * Runs `action` as one transaction, at once; what it throws undoes the transaction. `bytes` is about how much it puts, 0 for
   * removals. Waits for the disk where durability is `disk`: then it is for the time before anybody else uses it.
   * Throws RESOURCE_EXHAUSTED where the file system is full.
   */
  write<T>(bytes: number, action: () => T): T {
    this.#assertOpen();
    this.#makeRoom(bytes, 1);
    try {
      const result = this.#root.transactionSync(action);
      if (bytes > 0) this.#refused = undefined;
      return result;
    } catch (error) {
      const failure = storageError(error, `write to the metadata database ${this.#file}`);
      // The action's own refusals say nothing of the file.
      throw error === failure ? failure : this.#note(failure, bytes);
    }
  }

  /** Failed where the latest write was refused, and would be again. */
  get trouble(): Trouble | undefined {
    if (this.#refused === undefined || this.#closed) return undefined;
    const { error, bytes, since } = this.#refused;
    if (hasCode(error, 'RESOURCE_EXHAUSTED')) {
      try {
        // There may be room again, and nobody has written since.
        this.#reserve.ensure(usedBytes(this.#root), bytes);
        this.#refused = undefined;
        return undefined;
      } catch {
        // Still none.
      }
    }
    return { state: 'failed', reason: error.message, since };
  }

  #note(error: TaskError, bytes: number): TaskError {
    this.#refused = { error, bytes, since: this.#refused?.since ?? Date.now() };
    return error;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#group.idle();
    if (this.#durability === 'process') this.#reserve.flush();
    this.#reserve.close();
    await this.#root.close();
  }

  #assertOpen(): void {
    if (this.#closed) throw new TaskError('UNAVAILABLE', `the metadata database ${this.#file} is closed: unavailable`);
  }

  #makeRoom(bytes: number, changes: number): void {
    try {
      this.#reserve.ensure(usedBytes(this.#root), bytes, changes);
    } catch (error) {
      throw this.#note(TaskError.from(error), bytes);
    }
  }

  async #commit(writes: WriteSet): Promise<void> {
    try {
      await this.#root.batch(() => {
        for (const { table, key, value } of writes.writes()) {
          // One promise stands for all of them.
          if (value === undefined) ignore(table.remove(key));
          else ignore(table.put(key, value));
        }
      });
      if (writes.bytes > 0) this.#refused = undefined;
    } catch (error) {
      const failure = storageError(await reasonOf(error), `write to the metadata database ${this.#file}`);
      throw this.#note(failure, writes.bytes);
    }
  }
}

function ignore(promise: Promise<boolean>): void {
  promise.catch(() => undefined);
}

/** lmdb tells why a commit failed by a promise beside the error, which nobody else must be left to find rejected. */
async function reasonOf(failure: unknown): Promise<unknown> {
  if (!(failure instanceof Error && 'commitError' in failure && failure.commitError instanceof Promise)) return failure;
  try {
    await until(failure.commitError, { deadline: deadlineIn(reasonPatience), doing: 'asking lmdb why it failed' });
    return failure;
  } catch (reason) {
    return reason;
  }
}

function openRoot(file: string, options: EnvironmentOptions): RootDatabase<Buffer, Buffer> {
  return open<Buffer, Buffer>({
    path: file,
    noSubdir: true,
    encoding: 'binary',
    keyEncoding: 'binary',
    maxDbs: options.tables.length + 2,
    overlappingSync: false,
    noSync: options.durability === 'process',
  });
}

function openTable(root: RootDatabase<Buffer, Buffer>, name: string): Table {
  return root.openDB<Buffer, Buffer>({ name, encoding: 'binary', keyEncoding: 'binary' });
}

/** Makes an empty database under another name first: a half-made one is never found under `file`. */
async function create(file: string, options: EnvironmentOptions): Promise<void> {
  const draft = `${file}.new`;
  const remove = () => {
    for (const name of [draft, `${draft}-lock`]) rmSync(name, { force: true });
  };
  remove();
  try {
    proveFreeSpace(draft);
    const root = openRoot(draft, options);
    for (const name of options.tables) openTable(root, name);
    await root.close();
    syncFile(draft);
    renameSync(draft, file);
    syncFile(path.dirname(file));
  } finally {
    remove();
  }
}

/** LMDB maps its files: on a full file system the first touch of a page would end the process. */
function proveFreeSpace(file: string): void {
  writeFileSync(file, Buffer.alloc(smallestFreeSpace), { mode: 0o600 });
  rmSync(file);
}

function allocateLockFile(file: string): void {
  const lock = `${file}-lock`;
  if (!existsSync(lock) || statSync(lock).size === 0) writeFileSync(lock, Buffer.alloc(lockFileSize), { mode: 0o600 });
}

function syncFile(file: string): void {
  const fd = openSync(file, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** The end of the last page in use. */
function usedBytes(root: RootDatabase<Buffer, Buffer>): number {
  const stats: { lastPageNumber?: unknown; pageSize?: unknown } = root.getStats();
  return (Number(stats.lastPageNumber) + 1) * Number(stats.pageSize);
}

const enospc = 28;

function storageError(error: unknown, doing: string): TaskError {
  if (error instanceof TaskError) return error;
  const full =
    (isErrnoException(error) && (error.code === 'ENOSPC' || error.code === 'EDQUOT')) ||
    (error instanceof Error && 'code' in error && error.code === enospc);
  if (full) {
    return new TaskError(
      'RESOURCE_EXHAUSTED',
      `cannot ${doing}: no space is left on its file system, free some and try again: resource exhausted`,
      { cause: error },
    );
  }
  if (isErrnoException(error)) return TaskError.from(error, `cannot ${doing}`);
  return new TaskError('INTERNAL', `cannot ${doing}: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
}
