import { alreadyExists, notFound, TaskError } from '../shared/errors/index.ts';
import type { Namespace } from '../shared/identifiers.ts';
import { type Timestamp, timestampNow } from '../shared/wire/timestamp.ts';
import type { Environment, Table } from './environment.ts';
import { decodeJson, encodeJson, isRecord, parseLabels, parseString, parseTimestamp } from './json-value.ts';
import { keyOf, partsOf, rangeOf } from './keys.ts';
import type { NamespaceStore } from './namespace-store.ts';
import type { Change } from './write-set.ts';

export const leaseTable = 'leases';

/** The label whose value, an RFC 3339 time, says when a lease ends by itself. */
export const expireLabel = 'containerd.io/gc.expire';
/** Most resources of one lease: each change rewrites them all. */
const maxResources = 10_000;

export interface LeaseResource {
  readonly id: string;
  readonly type: string;
}

export interface Lease {
  readonly id: string;
  readonly createdAt: Timestamp;
  readonly labels: Readonly<Record<string, string>>;
}

interface StoredLease extends Lease {
  readonly resources: readonly LeaseResource[];
}

/** Leases by (namespace, id). A change is on the disk, and seen by readers, when its method resolves. */
export class LeaseStore {
  readonly #environment: Environment;
  readonly #table: Table;
  readonly #namespaces: NamespaceStore;

  constructor(environment: Environment, namespaces: NamespaceStore) {
    this.#environment = environment;
    this.#table = environment.table(leaseTable);
    this.#namespaces = namespaces;
  }

  /** Stores a new lease, and its namespace where it is the first thing in it. Throws ALREADY_EXISTS. */
  async create(namespace: Namespace, id: string, labels: Readonly<Record<string, string>>): Promise<Lease> {
    const lease: StoredLease = { id, createdAt: timestampNow(), labels, resources: [] };
    const value = encodeJson(lease);
    const key = keyOf(namespace, id);
    await this.#environment.change((change) => {
      this.#removeExpired(change, namespace);
      if (change.get(this.#table, key)) throw alreadyExists(`lease ${JSON.stringify(id)}: already exists`);
      this.#namespaces.ensure(change, namespace);
      change.put(this.#table, key, value);
    });
    return { id, createdAt: lease.createdAt, labels };
  }

  /** Throws NOT_FOUND. */
  async delete(namespace: Namespace, id: string): Promise<void> {
    const key = keyOf(namespace, id);
    await this.#environment.change((change) => {
      if (!change.get(this.#table, key)) throw missing(id);
      change.remove(this.#table, key);
    });
  }

  /** The leases of a namespace that have not expired, in the order of their ids. */
  list(namespace: Namespace): Lease[] {
    const leases: Lease[] = [];
    for (const lease of this.#stored(namespace)) {
      if (!hasExpired(lease)) leases.push({ id: lease.id, createdAt: lease.createdAt, labels: lease.labels });
    }
    return leases;
  }

  /** Throws NOT_FOUND, and RESOURCE_EXHAUSTED past the most that a lease can have. Adding one twice is adding it once. */
  addResource(namespace: Namespace, id: string, resource: LeaseResource): Promise<void> {
    return this.#edit(namespace, id, (resources) => {
      const others = resources.filter((other) => !isSame(other, resource));
      if (others.length >= maxResources) {
        throw new TaskError(
          'RESOURCE_EXHAUSTED',
          `lease ${JSON.stringify(id)} has ${maxResources} resources, no more fit: resource exhausted`,
        );
      }
      return [...others, resource];
    });
  }

  /** Throws NOT_FOUND for an unknown lease. */
  deleteResource(namespace: Namespace, id: string, resource: LeaseResource): Promise<void> {
    return this.#edit(namespace, id, (resources) => resources.filter((other) => !isSame(other, resource)));
  }

  /** Throws NOT_FOUND. */
  resources(namespace: Namespace, id: string): readonly LeaseResource[] {
    return this.#get(namespace, id).resources;
  }

  /** Removes the leases of a namespace whose time is over. */
  removeExpired(namespace: Namespace): Promise<void> {
    return this.#environment.change((change) => this.#removeExpired(change, namespace));
  }

  #removeExpired(change: Change, namespace: Namespace): void {
    for (const lease of this.#stored(namespace)) {
      if (hasExpired(lease)) change.remove(this.#table, keyOf(namespace, lease.id));
    }
  }

  #stored(namespace: Namespace): StoredLease[] {
    return Array.from(this.#table.getRange(rangeOf(namespace)), ({ key, value }) =>
      decodeLease(partsOf(key)[1] ?? '', value),
    );
  }

  #get(namespace: Namespace, id: string): StoredLease {
    const value = this.#table.get(keyOf(namespace, id));
    if (value === undefined) throw missing(id);
    return decodeLease(id, value);
  }

  #edit(
    namespace: Namespace,
    id: string,
    edit: (resources: readonly LeaseResource[]) => readonly LeaseResource[],
  ): Promise<void> {
    const key = keyOf(namespace, id);
    return this.#environment.change((change) => {
      const stored = change.get(this.#table, key);
      if (stored === undefined) throw missing(id);
      const lease = decodeLease(id, stored);
      change.put(this.#table, key, encodeJson({ ...lease, resources: edit(lease.resources) }));
    });
  }
}

function missing(id: string): Error {
  return notFound(`lease ${JSON.stringify(id)}: not found`);
}

function hasExpired(lease: Lease): boolean {
  const expire = lease.labels[expireLabel];
  // An unreadable time never comes: NaN compares false.
  return expire !== undefined && Date.parse(expire) <= Date.now();
}

function isSame(one: LeaseResource, other: LeaseResource): boolean {
  return one.id === other.id && one.type === other.type;
}

function decodeLease(id: string, value: Uint8Array): StoredLease {
  return decodeJson(value, (json) => parseLease(id, json), 'lease');
}

function parseLease(id: string, json: unknown): StoredLease {
  if (!isRecord(json) || !Array.isArray(json.resources)) throw new Error('a lease is not an object with resources');
  return {
    id,
    createdAt: parseTimestamp(json.createdAt),
    labels: parseLabels(json.labels),
    resources: json.resources.map((resource: unknown) => {
      if (!isRecord(resource)) throw new Error('a resource is not an object');
      return { id: parseString(resource.id), type: parseString(resource.type) };
    }),
  };
}
