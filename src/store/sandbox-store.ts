import { alreadyExists, notFound } from '../shared/errors/index.ts';
import { type Namespace, parseSandboxId, type SandboxId } from '../shared/identifiers.ts';
import { timestampNow } from '../shared/wire/timestamp.ts';
import type { Environment, Table } from './environment.ts';
import { keyOf, partsOf, rangeOf } from './keys.ts';
import type { NamespaceStore } from './namespace-store.ts';
import { decodeSandbox, encodeSandbox, type SandboxDescription, type SandboxEntry } from './sandbox.ts';

export const sandboxTable = 'sandboxes';

/** Sandboxes' metadata by (namespace, id); nothing runs because of it. A change is on the disk when its method returns. */
export class SandboxStore {
  readonly #environment: Environment;
  readonly #table: Table;
  readonly #namespaces: NamespaceStore;

  constructor(environment: Environment, namespaces: NamespaceStore) {
    this.#environment = environment;
    this.#table = environment.table(sandboxTable);
    this.#namespaces = namespaces;
  }

  /** Stores a new sandbox, and its namespace where it is the first thing in it. Throws ALREADY_EXISTS. */
  create(namespace: Namespace, description: SandboxDescription): SandboxEntry {
    const now = timestampNow();
    const sandbox: SandboxEntry = { ...description, createdAt: now, updatedAt: now };
    const value = Buffer.from(encodeSandbox(sandbox));
    const key = keyOf(namespace, sandbox.id);
    this.#environment.write(value.length, () => {
      if (this.#table.doesExist(key)) throw alreadyExists(`sandbox ${JSON.stringify(sandbox.id)}: already exists`);
      this.#namespaces.ensure(namespace);
      this.#table.putSync(key, value);
    });
    return sandbox;
  }

  find(namespace: Namespace, id: SandboxId): SandboxEntry | undefined {
    const value = this.#table.get(keyOf(namespace, id));
    return value && decodeSandbox(id, value);
  }

  /** Throws NOT_FOUND. */
  get(namespace: Namespace, id: SandboxId): SandboxEntry {
    const sandbox = this.find(namespace, id);
    if (!sandbox) throw missing(namespace, id);
    return sandbox;
  }

  /** The next sandboxes in the order of their ids: at most `limit`, beginning after the id `after`. */
  page(
    namespace: Namespace,
    options: { readonly after?: SandboxId | undefined; readonly limit: number },
  ): SandboxEntry[] {
    const range = rangeOf(namespace);
    const start = options.after === undefined ? range.start : keyOf(namespace, options.after);
    const exclusiveStart = options.after !== undefined;
    const entries = this.#table.getRange({ start, end: range.end, exclusiveStart, limit: options.limit });
    return Array.from(entries, ({ key, value }) => decodeSandbox(parseSandboxId(partsOf(key)[1] ?? ''), value));
  }

  /** Replaces a sandbox by what `change` makes of it. Throws NOT_FOUND, and what `change` throws. */
  update(namespace: Namespace, id: SandboxId, change: (current: SandboxEntry) => SandboxDescription): SandboxEntry {
    const current = this.get(namespace, id);
    const updated: SandboxEntry = { ...change(current), id, createdAt: current.createdAt, updatedAt: timestampNow() };
    const value = Buffer.from(encodeSandbox(updated));
    this.#environment.write(value.length, () => {
      this.#table.putSync(keyOf(namespace, id), value);
    });
    return updated;
  }

  /** Throws NOT_FOUND. */
  delete(namespace: Namespace, id: SandboxId): void {
    const removed = this.#environment.write(0, () => this.#table.removeSync(keyOf(namespace, id)));
    if (!removed) throw missing(namespace, id);
  }
}

function missing(namespace: Namespace, id: SandboxId): Error {
  return notFound(`sandbox ${JSON.stringify(id)} in namespace ${JSON.stringify(namespace)}: not found`);
}
