import { alreadyExists, notFound } from '../shared/errors/index.ts';
import { type Namespace, parseSandboxId, type SandboxId } from '../shared/identifiers.ts';
import { timestampNow } from '../shared/wire/timestamp.ts';
import type { Environment, Table } from './environment.ts';
import { keyOf, partsOf, rangeOf } from './keys.ts';
import type { NamespaceStore } from './namespace-store.ts';
import { decodeSandbox, encodeSandbox, type SandboxDescription, type SandboxEntry } from './sandbox.ts';

export const sandboxTable = 'sandboxes';

/**
 * Sandboxes' metadata by (namespace, id); nothing runs because of it. A change is on the disk, and seen by readers, when its
 * method resolves.
 */
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
  async create(namespace: Namespace, description: SandboxDescription): Promise<SandboxEntry> {
    const now = timestampNow();
    const sandbox: SandboxEntry = { ...description, createdAt: now, updatedAt: now };
    const value = Buffer.from(encodeSandbox(sandbox));
    const key = keyOf(namespace, sandbox.id);
    await this.#environment.change((change) => {
      if (change.get(this.#table, key)) {
        throw alreadyExists(`sandbox ${JSON.stringify(sandbox.id)}: already exists`);
      }
      this.#namespaces.ensure(change, namespace);
      change.put(this.#table, key, value);
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

  /** Replaces a sandbox by what `edit` makes of it. Throws NOT_FOUND, and what `edit` throws. */
  update(
    namespace: Namespace,
    id: SandboxId,
    edit: (current: SandboxEntry) => SandboxDescription,
  ): Promise<SandboxEntry> {
    const key = keyOf(namespace, id);
    return this.#environment.change((change) => {
      const stored = change.get(this.#table, key);
      if (!stored) throw missing(namespace, id);
      const current = decodeSandbox(id, stored);
      const updated: SandboxEntry = { ...edit(current), id, createdAt: current.createdAt, updatedAt: timestampNow() };
      change.put(this.#table, key, Buffer.from(encodeSandbox(updated)));
      return updated;
    });
  }

  /** Throws NOT_FOUND. */
  async delete(namespace: Namespace, id: SandboxId): Promise<void> {
    const key = keyOf(namespace, id);
    await this.#environment.change((change) => {
      if (!change.get(this.#table, key)) throw missing(namespace, id);
      change.remove(this.#table, key);
    });
  }
}

function missing(namespace: Namespace, id: SandboxId): Error {
  return notFound(`sandbox ${JSON.stringify(id)} in namespace ${JSON.stringify(namespace)}: not found`);
}
