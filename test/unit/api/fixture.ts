import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { type ApiServer, createApiServer, type TaskManager } from '../../../src/api/index.ts';
import { HealthBoard, type HealthSource } from '../../../src/daemon/health-board.ts';
import { createEventTail, Exchange } from '../../../src/events/index.ts';
import { notFound, unavailable, unimplemented } from '../../../src/shared/errors/index.ts';
import { containersDefinition } from '../../../src/shared/grpc/index.ts';
import { parseNamespace } from '../../../src/shared/identifiers.ts';
import { type Logger, silentLogger } from '../../../src/shared/log/logger.ts';
import { Store } from '../../../src/store/index.ts';
import { ApiClient } from '../../helpers/api-client.ts';

export const namespace = parseNamespace('default');
export const spec = { type_url: 'types.containerd.io/opencontainers/runtime-spec/1/Spec', value: Buffer.from('{}') };

/** A supervisor that knows no task; a test replaces what it needs. */
export function scriptedSupervisor(script: Partial<TaskManager> = {}): TaskManager {
  const noTask = async (ref: { readonly task: string }): Promise<never> => {
    throw notFound(`task ${ref.task} not found`);
  };
  const noSandbox = async (ref: { readonly sandbox: string }): Promise<never> => {
    throw notFound(`sandbox ${ref.sandbox} not found`);
  };
  return {
    sandboxes: {
      create: () => Promise.reject(unimplemented('create')),
      start: noSandbox,
      stop: noSandbox,
      wait: noSandbox,
      status: noSandbox,
      platform: noSandbox,
      metrics: noSandbox,
      update: noSandbox,
      shutdown: noSandbox,
    },
    create: () => Promise.reject(unimplemented('create')),
    start: noTask,
    exec: noTask,
    kill: noTask,
    delete: noTask,
    destroy: noTask,
    get: noTask,
    list: async () => [],
    hasTasks: () => false,
    wait: noTask,
    pids: noTask,
    pause: noTask,
    resume: noTask,
    update: noTask,
    stats: noTask,
    checkpoint: noTask,
    resize: noTask,
    closeIo: noTask,
    runtimeInfo: ({ runtime }) => Promise.reject(notFound(`runtime ${runtime} is not installed`)),
    shims: () => [],
    shimLog: async function* (_, id) {
      yield* [];
      throw notFound(`no task and no shim "${id}": not found`);
    },
    slots: () => [],
    counts: () => ({ tasks: 0, owedExits: 0 }),
    vitals: () => ({ delayP99: 0, delayMax: 0, delayP99Ever: 0, delayMaxEver: 0, heap: 0, memory: 0 }),
    restartSlot: async () => undefined,
    receive: () => undefined,
    ...script,
  };
}

export interface Served {
  readonly server: ApiServer;
  readonly store: Store;
  readonly exchange: Exchange;
  readonly address: string;
  readonly directory: string;
  /** A client of its own connection. */
  readonly connect: () => ApiClient;
  /** In the test's namespace. */
  readonly client: ApiClient;
}

/** A server on a socket of its own, with a real store and exchange; ended with the test. */
export async function serve(
  script: Partial<TaskManager> = {},
  logger: Logger = silentLogger,
  health: HealthSource = () => [],
): Promise<Served> {
  const directory = await mkdtemp(path.join(tmpdir(), 'shimd-api-'));
  const store = await Store.open(directory, { logger });
  const tail = createEventTail(store.events);
  const exchange = new Exchange({ tail });
  const board = new HealthBoard({ logger, every: 100 });
  board.add(health);
  const server = createApiServer({
    supervisor: scriptedSupervisor(script),
    services: { hold: () => undefined, stop: ({ task }) => Promise.reject(notFound(`task ${task} not found`)) },
    health: board,
    store,
    exchange,
    tail,
    logger,
    version: { version: '1.2.3', revision: 'abc' },
  });
  const address = path.join(directory, 'shimd.sock');
  await server.listen(address);
  const clients: ApiClient[] = [];
  const connect = () => {
    const client = new ApiClient(address, namespace);
    clients.push(client);
    return client;
  };
  onTestFinished(async () => {
    for (const client of clients) client.close();
    await server.close({ grace: 100 });
    board.close();
    exchange.close(unavailable('test over'));
    await store.close();
    await rm(directory, { recursive: true, force: true });
  });
  return { server, store, exchange, address, directory, connect, client: connect() };
}

/** Seconds of a timestamp; protobufjs decodes them as a Long where that is installed. */
export function secondsOf(timestamp: { readonly seconds?: unknown } | null | undefined): number {
  return Number(timestamp?.seconds ?? 0);
}

/** Stores a container through the API. */
export function createContainer(client: ApiClient, id: string, more: object = {}) {
  return client.call(containersDefinition.create, {
    container: { id, runtime: { name: 'io.containerd.runc.v2' }, spec, ...more },
  });
}
