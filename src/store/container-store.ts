import { alreadyExists, notFound } from '../shared/errors/index.ts';
import { type Namespace, parseTaskId, type TaskId } from '../shared/identifiers.ts';
import { timestampNow } from '../shared/wire/timestamp.ts';
import { type Container, type ContainerDescription, decodeContainer, encodeContainer } from './container.ts';
import type { Environment, Table } from './environment.ts';
import { keyOf, partsOf, rangeOf } from './keys.ts';
import type { NamespaceStore } from './namespace-store.ts';

export const containerTable = 'containers';

/** Told of a container that was stored or changed; undefined for one that was deleted. */
export type ContainerListener = (namespace: Namespace, id: TaskId, container: Container | undefined) => void;

/** Containers by (namespace, id). A change is on the disk when its method returns. */
export class ContainerStore {
  readonly #environment: Environment;
  readonly #table: Table;
  readonly #namespaces: NamespaceStore;
  readonly #listeners = new Set<ContainerListener>();

  constructor(environment: Environment, namespaces: NamespaceStore) {
    this.#environment = environment;
    this.#table = environment.table(containerTable);
    this.#namespaces = namespaces;
  }

  /** Stores a new container, and its namespace where it is the first thing in it. Throws ALREADY_EXISTS. */
  create(namespace: Namespace, description: ContainerDescription): Container {
    const now = timestampNow();
    const container: Container = { ...description, createdAt: now, updatedAt: now };
    const value = Buffer.from(encodeContainer(container));
    const key = keyOf(namespace, container.id);
    this.#environment.write(value.length, () => {
      if (this.#table.doesExist(key)) throw alreadyExists(`container ${quote(container.id)}: already exists`);
      this.#namespaces.ensure(namespace);
      this.#table.putSync(key, value);
    });
    this.#tell(namespace, container.id, container);
    return container;
  }

  find(namespace: Namespace, id: TaskId): Container | undefined {
    const value = this.#table.get(keyOf(namespace, id));
    return value && decodeContainer(id, value);
  }

  /** Throws NOT_FOUND. */
  get(namespace: Namespace, id: TaskId): Container {
    const container = this.find(namespace, id);
    if (!container) throw notFound(`container ${quote(id)} in namespace ${quote(namespace)}: not found`);
    return container;
  }

  /**
   * The next containers in the order of their ids: at most `limit`, beginning after the id `after`.
   * Read a long list page by page; a reader that keeps its place in LMDB keeps old pages from being used again.
   */
  page(namespace: Namespace, options: { readonly after?: TaskId | undefined; readonly limit: number }): Container[] {
    const range = rangeOf(namespace);
    const start = options.after === undefined ? range.start : keyOf(namespace, options.after);
    const entries = this.#table.getRange({
      start,
      end: range.end,
      exclusiveStart: options.after !== undefined,
      limit: options.limit,
    });
    return Array.from(entries, ({ key, value }) => decodeContainer(parseTaskId(partsOf(key)[1] ?? ''), value));
  }

  /** Replaces a container by what `change` makes of it. Throws NOT_FOUND, and what `change` throws. */
  update(namespace: Namespace, id: TaskId, change: (current: Container) => ContainerDescription): Container {
    const current = this.find(namespace, id);
    if (!current) throw notFound(`container ${quote(id)}: not found`);
    const updated: Container = { ...change(current), id, createdAt: current.createdAt, updatedAt: timestampNow() };
    const value = Buffer.from(encodeContainer(updated));
    this.#environment.write(value.length, () => {
      this.#table.putSync(keyOf(namespace, id), value);
    });
    this.#tell(namespace, id, updated);
    return updated;
  }

  /** Throws NOT_FOUND. */
  delete(namespace: Namespace, id: TaskId): void {
    const removed = this.#environment.write(0, () => this.#table.removeSync(keyOf(namespace, id)));
    if (!removed) throw notFound(`container ${id}: not found`);
    this.#tell(namespace, id, undefined);
  }

  /** Calls `listener`, which must not throw, after each change that is on the disk; returns what ends that. */
  onChange(listener: ContainerListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(namespace: Namespace, id: TaskId, container: Container | undefined): void {
    for (const listener of this.#listeners) listener(namespace, id, container);
  }
}

function quote(text: string): string {
  return JSON.stringify(text);
}
