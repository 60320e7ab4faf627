import { parseNamespace, parseSandboxId, type SandboxRef } from '../shared/identifiers.ts';
import type { SandboxExit } from '../shared/messages/sandbox.ts';
import type { Environment, Table } from './environment.ts';
import { decodeJson, encodeJson, isRecord, parseNumber, parseTimestamp } from './json-value.ts';
import { keyOf, partsOf } from './keys.ts';

export const sandboxExitTable = 'sandbox-exits';

/** How a sandbox ended. */
export interface StoredSandboxExit extends SandboxExit {
  /** Nobody saw the end: its shim is gone. */
  readonly madeUp: boolean;
  /** Cursor of the latest event when it was stored: its own event comes next. Absent where it has none. */
  readonly after?: number | undefined;
}

/** How sandboxes ended, by (namespace, sandbox). An exit outlives the daemon's process from the moment `put` returns. */
export interface SandboxExitStore {
  /** The first one stays. Throws RESOURCE_EXHAUSTED where the file system is full. */
  put(sandbox: SandboxRef, exit: StoredSandboxExit): void;
  get(sandbox: SandboxRef): StoredSandboxExit | undefined;
  remove(sandbox: SandboxRef): void;
  list(): Iterable<{ readonly sandbox: SandboxRef; readonly exit: StoredSandboxExit }>;
}

export class LmdbSandboxExitStore implements SandboxExitStore {
  readonly #environment: Environment;
  readonly #table: Table;

  constructor(environment: Environment) {
    this.#environment = environment;
    this.#table = environment.table(sandboxExitTable);
  }

  put(sandbox: SandboxRef, { status, exitedAt, madeUp, after }: StoredSandboxExit): void {
    const key = keyOf(sandbox.namespace, sandbox.sandbox);
    if (this.#table.doesExist(key)) return;
    const { seconds, nanos } = exitedAt;
    const value = encodeJson({
      status,
      exitedAt: { seconds, nanos },
      madeUp,
      ...(after === undefined ? {} : { after }),
    });
    this.#environment.write(value.length, () => {
      this.#table.putSync(key, value);
    });
  }

  get(sandbox: SandboxRef): StoredSandboxExit | undefined {
    const value = this.#table.get(keyOf(sandbox.namespace, sandbox.sandbox));
    return value && decodeExit(value);
  }

  remove(sandbox: SandboxRef): void {
    const key = keyOf(sandbox.namespace, sandbox.sandbox);
    if (this.#table.doesExist(key)) this.#environment.write(0, () => this.#table.removeSync(key));
  }

  *list(): Generator<{ sandbox: SandboxRef; exit: StoredSandboxExit }> {
    // The whole of it, before anything is handed out: whoever reads it may write meanwhile.
    yield* Array.from(this.#table.getRange({}), ({ key, value }) => {
      const [namespace = '', sandbox = ''] = partsOf(key);
      return {
        sandbox: { namespace: parseNamespace(namespace), sandbox: parseSandboxId(sandbox) },
        exit: decodeExit(value),
      };
    });
  }
}

function decodeExit(value: Uint8Array): StoredSandboxExit {
  return decodeJson(
    value,
    (json) => {
      if (!isRecord(json)) throw new Error('an exit is not an object');
      return {
        status: parseNumber(json['status']),
        exitedAt: parseTimestamp(json['exitedAt']),
        madeUp: json['madeUp'] === true,
        ...(typeof json['after'] === 'number' ? { after: json['after'] } : {}),
      };
    },
    "sandbox's exit",
  );
}
