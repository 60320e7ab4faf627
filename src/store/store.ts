import { randomUUID } from 'node:crypto';
import { chmod, mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { isErrnoException, TaskError } from '../shared/errors/index.ts';
import { type Finding, storeComponent, worse } from '../shared/health.ts';
import type { Logger } from '../shared/log/logger.ts';
import { spaceTrouble } from '../shared/util/free-space.ts';
import { BootMarker } from './boot-marker.ts';
import { ContainerStore, containerTable } from './container-store.ts';
import { Environment } from './environment.ts';
import { EventLog, eventLogDirectory } from './event-log.ts';
import type { ExitStore } from './exit-store.ts';
import { keyOf } from './keys.ts';
import { LeaseStore, leaseTable } from './lease-store.ts';
import { exitTable, LmdbExitStore } from './lmdb-exit-store.ts';
import { NamespaceStore, namespaceTable } from './namespace-store.ts';
import { LmdbSandboxExitStore, type SandboxExitStore, sandboxExitTable } from './sandbox-exit-store.ts';
import { SandboxStore, sandboxTable } from './sandbox-store.ts';
import { metaTable, migrate } from './schema.ts';

/** Under the root directory; no namespace's directory starts with a dot. */
const directoryName = '.metadata';
const instanceKey = keyOf('instance');

interface Environments {
  readonly metadata: Environment;
  readonly exits: Environment;
  readonly events: EventLog;
  readonly marker: BootMarker;
}

/**
 * What outlives the daemon, in `<root>/.metadata`: `metadata.mdb`, on the disk with every change, and `exits.mdb` and the
 * files of events, which outlive the process with every change and the machine when they were closed in order. After a
 * power failure exits and events are dropped: the processes they tell of ended with that boot at the latest.
 */
export class Store {
  readonly containers: ContainerStore;
  readonly namespaces: NamespaceStore;
  readonly leases: LeaseStore;
  readonly sandboxes: SandboxStore;
  readonly exits: ExitStore;
  readonly events: EventLog;
  readonly sandboxExits: SandboxExitStore;
  /** Of this installation: stays the same as long as the root directory does. */
  readonly instance: { readonly uuid: string };
  readonly #directory: string;
  readonly #environments: Environments;
  #closing: Promise<void> | undefined;

  private constructor(directory: string, environments: Environments) {
    this.#directory = directory;
    const { metadata, exits, events } = environments;
    this.#environments = environments;
    migrate(metadata);
    migrate(exits);
    this.namespaces = new NamespaceStore(metadata, {
      holds: { containers: metadata.table(containerTable), sandboxes: metadata.table(sandboxTable) },
      drops: [metadata.table(leaseTable)],
    });
    this.containers = new ContainerStore(metadata, this.namespaces);
    this.leases = new LeaseStore(metadata, this.namespaces);
    this.sandboxes = new SandboxStore(metadata, this.namespaces);
    this.exits = new LmdbExitStore(exits);
    this.events = events;
    this.sandboxExits = new LmdbSandboxExitStore(exits);
    this.instance = { uuid: instanceUuid(metadata) };
  }

  /**
   * Opens the store of a root directory, or makes it. One process at a time: the caller holds the lock.
   * Throws FAILED_PRECONDITION for files that are no databases, damaged, or of a newer shimd (they are left as they
   * are), RESOURCE_EXHAUSTED on a full file system, PERMISSION_DENIED.
   */
  static async open(rootDirectory: string, options: { readonly logger: Logger }): Promise<Store> {
    const directory = path.join(rootDirectory, directoryName);
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await chmod(directory, 0o700);
    } catch (error) {
      throw TaskError.from(error, `make the metadata directory ${directory}`);
    }
    const metadata = await Environment.open(path.join(directory, 'metadata.mdb'), {
      tables: [metaTable, namespaceTable, containerTable, leaseTable, sandboxTable],
      durability: 'disk',
    });
    let exits: Environment | undefined;
    let events: EventLog | undefined;
    try {
      const marker = new BootMarker(path.join(directory, 'exits.boot'));
      const file = path.join(directory, 'exits.mdb');
      const trusted = marker.isTrusted();
      if (!trusted) await setAside(file, options.logger);
      marker.write('open');
      events = EventLog.open(eventLogDirectory(directory), { ...options, trusted });
      exits = await Environment.open(file, { tables: [metaTable, exitTable, sandboxExitTable], durability: 'process' });
      const store = new Store(directory, { metadata, exits, events, marker });
      await Promise.all(store.namespaces.list().map(({ name }) => store.leases.removeExpired(name)));
      return store;
    } catch (error) {
      events?.close();
      await exits?.close();
      await metadata.close();
      throw TaskError.from(error, `open the metadata in ${directory}`);
    }
  }

  /** How the databases and the log of events are. Where something was refused it is looked whether it still would be. */
  health(): Finding[] {
    const { metadata, exits, events } = this.#environments;
    const refused = worse(metadata.trouble, exits.trouble);
    return [
      { component: storeComponent, trouble: refused ?? spaceTrouble(this.#directory) },
      { component: 'event-log', trouble: events.trouble },
    ];
  }

  /** Puts everything on the disk. Nothing can be read or written afterwards. Can be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const { metadata, exits, events, marker } = this.#environments;
    try {
      events.close();
      await exits.close();
      marker.write('closed');
    } finally {
      await metadata.close();
    }
  }
}

/** Keeps the last untrusted file for whoever wants to look, and takes it out of the way. */
async function setAside(file: string, logger: Logger): Promise<void> {
  await rm(`${file}-lock`, { force: true });
  try {
    await rename(file, `${file}.old`);
    logger.warn('stored exits dropped after a power failure', { file: `${file}.old` });
  } catch (error) {
    if (!isErrnoException(error) || error.code !== 'ENOENT') throw error;
  }
}

function instanceUuid(environment: Environment): string {
  const meta = environment.table(metaTable);
  const stored = meta.get(instanceKey);
  if (stored) return stored.toString();
  const uuid = randomUUID();
  environment.write(uuid.length, () => {
    meta.putSync(instanceKey, Buffer.from(uuid));
  });
  return uuid;
}
