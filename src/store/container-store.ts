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

/** Containers by (namespace, id). A change is on the disk, and seen by readers, when its method resolves. */
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
  async create(namespace: Namespace, description: ContainerDescription): Promise<Container> {
    const now = timestampNow();
    const container: Container = { ...description, createdAt: now, updatedAt: now };
    const value = Buffer.from(encodeContainer(container));
    const key = keyOf(namespace, container.id);
    await this.#environment.change((change) => {
      if (change.get(this.#table, key)) throw alreadyExists(`container ${quote(container.id)}: already exists`);
      this.#namespaces.ensure(change, namespace);
      change.put(this.#table, key, value);
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

  /** Replaces a container by what `edit` makes of it. Throws NOT_FOUND, and what `edit` throws. */
  async update(
    namespace: Namespace,
    id: TaskId,
    edit: (current: Container) => ContainerDescription,
  ): Promise<Container> {
    const key = keyOf(namespace, id);
    const updated = await this.#environment.change((change): Container => {
      const stored = change.get(this.#table, key);
      if (!stored) throw notFound(`container ${quote(id)}: not found`);
      const current = decodeContainer(id, stored);
      const container = { ...edit(current), id, createdAt: current.createdAt, updatedAt: timestampNow() };
      change.put(this.#table, key, Buffer.from(encodeContainer(container)));
      return container;
    });
    this.#tell(namespace, id, updated);
    return updated;
  }

  /** Throws NOT_FOUND. */
  async delete(namespace: Namespace, id: TaskId): Promise<void> {
    const key = keyOf(namespace, id);
    await this.#environment.change((change) => {
      if (!change.get(this.#table, key)) throw notFound(`container ${id}: not found`);
      change.remove(this.#table, key);
    });
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
