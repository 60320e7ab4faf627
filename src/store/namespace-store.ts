import { alreadyExists, failedPrecondition, notFound } from '../shared/errors/index.ts';
import { type Namespace, parseNamespace } from '../shared/identifiers.ts';
import type { Environment, Table } from './environment.ts';
import { decodeJson, encodeJson, parseLabels } from './json-value.ts';
import { keyOf, rangeOf } from './keys.ts';
import type { Change } from './write-set.ts';

export const namespaceTable = 'namespaces';

export interface NamespaceEntry {
  readonly name: Namespace;
  readonly labels: Readonly<Record<string, string>>;
}

/** What lies in a namespace, by table: it has to be empty of `holds` to be deleted, `drops` goes with it. */
export interface NamespaceContents {
  readonly holds: Readonly<Record<string, Table>>;
  readonly drops: readonly Table[];
}

/** Namespaces and their labels. A change is on the disk, and seen by readers, when its method resolves. */
export class NamespaceStore {
  readonly #environment: Environment;
  readonly #table: Table;
  readonly #contents: NamespaceContents;

  constructor(environment: Environment, contents: NamespaceContents) {
    this.#environment = environment;
    this.#table = environment.table(namespaceTable);
    this.#contents = contents;
  }

  /** Throws ALREADY_EXISTS. */
  async create(name: Namespace, labels: Readonly<Record<string, string>>): Promise<NamespaceEntry> {
    await this.#environment.change((change) => {
      if (change.get(this.#table, keyOf(name))) throw alreadyExists(`namespace ${quote(name)}: already exists`);
      change.put(this.#table, keyOf(name), encodeJson({ labels }));
    });
    return { name, labels };
  }

  /** Makes the namespace unless it is there; for the change that puts the first thing into it. */
  ensure(change: Change, name: Namespace): void {
    if (!change.get(this.#table, keyOf(name))) change.put(this.#table, keyOf(name), encodeJson({ labels: {} }));
  }

  /** The labels of a namespace; none for one that is not there. */
  labels(name: Namespace): Readonly<Record<string, string>> {
    const value = this.#table.get(keyOf(name));
    return value === undefined ? {} : decodeLabels(value);
  }

  /** All namespaces, in the order of their names. */
  list(): NamespaceEntry[] {
    return Array.from(this.#table.getRange({}), ({ key, value }) => ({
      name: parseNamespace(Buffer.from(key).toString()),
      labels: decodeLabels(value),
    }));
  }

  /** Replaces the labels. Throws NOT_FOUND. */
  update(
    name: Namespace,
    edit: (labels: Readonly<Record<string, string>>) => Readonly<Record<string, string>>,
  ): Promise<NamespaceEntry> {
    return this.#environment.change((change) => {
      const stored = change.get(this.#table, keyOf(name));
      if (!stored) throw notFound(`namespace ${quote(name)}: not found`);
      const labels = edit(decodeLabels(stored));
      change.put(this.#table, keyOf(name), encodeJson({ labels }));
      return { name, labels };
    });
  }

  /** Throws NOT_FOUND, and FAILED_PRECONDITION where something is left in it; `alsoHolds` names what is known elsewhere. */
  async delete(name: Namespace, alsoHolds: readonly string[] = []): Promise<void> {
    await this.#environment.change((change) => {
      if (!change.get(this.#table, keyOf(name))) throw notFound(`namespace ${quote(name)}: not found`);
      const left = Object.entries(this.#contents.holds)
        .filter(([, table]) => !isEmpty(change.keys(table, rangeOf(name))))
        .map(([kind]) => kind);
      const kinds = [...left, ...alsoHolds];
      if (kinds.length > 0) {
        throw failedPrecondition(
          `namespace ${quote(name)} must be empty, but it still has ${kinds.join(', ')}: failed precondition`,
        );
      }
      for (const table of this.#contents.drops) {
        for (const key of Array.from(change.keys(table, rangeOf(name)))) change.remove(table, key);
      }
      change.remove(this.#table, keyOf(name));
    });
  }
}

function isEmpty(keys: Iterable<Buffer>): boolean {
  for (const _ of keys) return false;
  return true;
}

function decodeLabels(value: Uint8Array): Record<string, string> {
  return decodeJson(value, (json) => parseLabels(Object(json).labels), 'namespace');
}

function quote(text: string): string {
  return JSON.stringify(text);
}
