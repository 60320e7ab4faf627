import { type ProcessRef, parseExecId, parseNamespace, parseTaskId, type TaskRef } from '../shared/identifiers.ts';
import type { ExitSource } from '../shared/messages/process.ts';
import type { Environment, Table } from './environment.ts';
import type { ExitStore, Owed, StoredExit } from './exit-store.ts';
import { decodeJson, encodeJson, isRecord, parseNumber, parseTimestamp } from './json-value.ts';
import { keyOf, partsOf, rangeOf } from './keys.ts';

export const exitTable = 'exits';

/** Exits in an LMDB environment of their own, whose writes do not wait for the disk: they are made on the main thread. */
export class LmdbExitStore implements ExitStore {
  readonly #environment: Environment;
  readonly #table: Table;

  constructor(environment: Environment) {
    this.#environment = environment;
    this.#table = environment.table(exitTable);
  }

  put(process: ProcessRef, exit: StoredExit): 'stored' | 'kept' {
    const known = this.get(process);
    if (known && (known.source !== 'made-up' || exit.source === 'made-up')) return 'kept';
    this.#write(process, exit);
    return 'stored';
  }

  setOwed(process: ProcessRef, owed: Owed | undefined): void {
    const known = this.get(process);
    if (known !== undefined && known.owed !== owed) this.#write(process, { ...known, owed });
  }

  #write(process: ProcessRef, { pid, status, exitedAt, source, owed, after }: StoredExit): void {
    const value = encodeJson({
      pid,
      status,
      exitedAt: { seconds: exitedAt.seconds, nanos: exitedAt.nanos },
      source,
      ...(owed === undefined ? {} : { owed }),
      ...(after === undefined ? {} : { after }),
    });
    this.#environment.write(value.length, () => {
      this.#table.putSync(keyOfProcess(process), value);
    });
  }

  get(process: ProcessRef): StoredExit | undefined {
    const value = this.#table.get(keyOfProcess(process));
    return value && decodeExit(value);
  }

  removeTask(task: TaskRef): void {
    const keys = Array.from(this.#table.getKeys(rangeOf(task.namespace, task.task)));
    if (keys.length === 0) return;
    this.#environment.write(0, () => {
      for (const key of keys) this.#table.removeSync(key);
    });
  }

  removeExec(process: ProcessRef): void {
    const key = keyOfProcess(process);
    if (this.#table.doesExist(key)) this.#environment.write(0, () => this.#table.removeSync(key));
  }

  *list(): Generator<{ process: ProcessRef; exit: StoredExit }> {
    // The whole of it, before anything is handed out: whoever reads it may write meanwhile.
    const entries = Array.from(this.#table.getRange({}), ({ key, value }) => ({
      process: parseProcess(key),
      exit: decodeExit(value),
    }));
    yield* entries;
  }
}

/** Init has an empty exec id, so it sorts before its execs and shares their prefix. */
function keyOfProcess(process: ProcessRef): Buffer {
  return keyOf(process.namespace, process.task, process.exec ?? '');
}

function parseProcess(key: Uint8Array): ProcessRef {
  const [namespace = '', task = '', exec = ''] = partsOf(key);
  return {
    namespace: parseNamespace(namespace),
    task: parseTaskId(task),
    ...(exec === '' ? {} : { exec: parseExecId(exec) }),
  };
}

function decodeExit(value: Uint8Array): StoredExit {
  return decodeJson(value, parseExit, 'exit');
}

function parseExit(json: unknown): StoredExit {
  if (!isRecord(json)) throw new Error('an exit is not an object');
  return {
    pid: parseNumber(json.pid),
    status: parseNumber(json.status),
    exitedAt: parseTimestamp(json.exitedAt),
    source: parseSource(json.source),
    ...(json.owed === 'anybody' || json.owed === 'client' ? { owed: json.owed } : {}),
    ...(typeof json['after'] === 'number' ? { after: json['after'] } : {}),
  };
}

const sources: readonly ExitSource[] = ['wait', 'state', 'event', 'made-up'];

function parseSource(value: unknown): ExitSource {
  const source = sources.find((known) => known === value);
  if (!source) throw new Error(`${JSON.stringify(value)} is no source of an exit`);
  return source;
}
