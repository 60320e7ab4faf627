import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { EventTail } from '../events/index.ts';
import { unavailable } from '../shared/errors/index.ts';
import type { Finding } from '../shared/health.ts';
import type { Logger } from '../shared/log/logger.ts';
import type { Store } from '../store/index.ts';
import { ActiveCalls } from './active-calls.ts';
import { adminService } from './admin-service.ts';
import type { Binding } from './binding.ts';
import { containersService } from './containers-service.ts';
import type { EventExchange } from './event-exchange.ts';
import { eventsService } from './events-service.ts';
import type { HealthReport } from './health-report.ts';
import { healthService } from './health-service.ts';
import { introspectionService } from './introspection-service.ts';
import { leasesService } from './leases-service.ts';
import { maxConcurrentCalls, maxConnections, maxMessageBytes } from './limits.ts';
import { namespacesService } from './namespaces-service.ts';
import { reflectionService } from './reflection-service.ts';
import { sandboxControllerService } from './sandbox-controller-service.ts';
import { sandboxStoreService } from './sandbox-store-service.ts';
import type { ServiceKeeper } from './service-keeper.ts';
import { listenAt, type SocketFile } from './socket-file.ts';
import type { TaskManager } from './task-manager.ts';
import { tasksService } from './tasks-service.ts';
import { unservedServices } from './unserved-services.ts';
import { type VersionInfo, versionService } from './version-service.ts';

export interface ApiServerOptions {
  readonly supervisor: TaskManager;
  readonly services: ServiceKeeper;
  readonly health: HealthReport;
  readonly store: Pick<Store, 'containers' | 'namespaces' | 'leases' | 'sandboxes' | 'instance'>;
  readonly exchange: EventExchange;
  readonly tail: EventTail;
  readonly logger: Logger;
  /** Of shimd, as `Version` tells it. */
  readonly version: VersionInfo;
}

/** Who connected, for the log. */
export interface Peer {
  readonly pid: number;
  readonly uid: number;
}

export interface ListenOptions {
  /** Rights of the socket file, 0600 by default. */
  readonly mode?: number;
  /** Asks the kernel for the other end of a connection. */
  readonly peerOf?: (socket: Socket) => Peer | undefined;
  /** Makes the kernel hold so many bytes that the other end has not read yet. */
  readonly growSendBuffer?: (socket: Socket, bytes: number) => void;
}

/** How long calls may take to end when the server closes, in milliseconds. */
const defaultGrace = 5_000;
/**
 * Bytes of answers that a client may leave unread before the server reads no more of its calls. Node's HTTP/2 reads nothing while it
 * waits to write: where both ends are Node's, some thousands of calls at once would have each wait for the other for ever.
 */
const sendBuffer = 4 * 1024 * 1024;
/** How long connections have to take their last answers, in milliseconds. */
const drainTime = 250;

/** Serves containerd's API and shimd's own over gRPC on unix sockets. */
export class ApiServer {
  readonly #grpc = new Server({
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.max_concurrent_streams': maxConcurrentCalls,
    // Counts calls and messages for a service that nobody serves here.
    'grpc.enable_channelz': 0,
  });
  readonly #injector;
  readonly #calls = new ActiveCalls();
  readonly #logger: Logger;
  readonly #listeners = new Map<NetServer, { readonly address: string; readonly file: SocketFile }>();
  readonly #connections = new Set<Socket>();
  #closing: Promise<void> | undefined;

  constructor(options: ApiServerOptions) {
    this.#logger = options.logger;
    this.#injector = this.#grpc.createConnectionInjector(ServerCredentials.createInsecure());
    for (const bind of bindings(options)) {
      bind({ server: this.#grpc, calls: this.#calls, logger: options.logger });
    }
  }

  /** Listens at a path, in the place of a socket file that nobody serves. Throws where it cannot. */
  async listen(address: string, options: ListenOptions = {}): Promise<void> {
    if (this.#closing) throw unavailable(`listen at ${address}: the server is closed: unavailable`);
    const server = createServer((socket) => this.#accept(socket, options));
    const limit = maxConnections();
    server.maxConnections = limit;
    server.on('drop', () => this.#logger.warn('connection refused', { address, limit }));
    const file = await listenAt(server, address, options.mode ?? 0o600);
    server.on('error', (error) => this.#logger.error('accept failed', { address, error: error.message }));
    this.#listeners.set(server, { address, file });
  }

  /** Failed where a client that is not connected yet does not find it. */
  health(): Finding {
    const lost = [...this.#listeners.values()].find(({ file }) => !file.isThere());
    if (lost === undefined) return { component: 'api' };
    const reason = `its socket ${lost.address} was removed or replaced, and no client can connect: restart the daemon`;
    return { component: 'api', trouble: { state: 'failed', reason } };
  }

  /**
   * Takes no new calls; ends streams and waits with UNAVAILABLE at once, and every other call that has not ended
   * `grace` milliseconds (5000) later. Can be called again.
   */
  close(options: { readonly grace?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.grace ?? defaultGrace);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(grace: number): Promise<void> {
    const stopped = [...this.#listeners].map(async ([server, { file }]) => {
      await file.remove();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    });
    await this.#calls.close(grace);
    this.#injector.drain(drainTime);
    await this.#drained();
    this.#injector.destroy();
    this.#grpc.forceShutdown();
    for (const socket of this.#connections) socket.destroy();
    await Promise.all(stopped);
  }

  /** Clients close their connections when they are told to; those that do not are closed for them. */
  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, drainTime);
      const check = () => {
        if (this.#connections.size > 0) return;
        clearTimeout(timer);
        resolve();
      };
      for (const socket of this.#connections) socket.once('close', check);
      check();
    });
  }

  #accept(socket: Socket, { peerOf, growSendBuffer }: ListenOptions): void {
    this.#connections.add(socket);
    growSendBuffer?.(socket, sendBuffer);
    const peer = peerOf?.(socket);
    this.#logger.info('client connected', { uid: peer?.uid, pid: peer?.pid });
    socket.on('error', (error) => this.#logger.debug('connection failed', { pid: peer?.pid, error: error.message }));
    socket.once('close', () => {
      this.#connections.delete(socket);
      this.#logger.debug('client disconnected', { uid: peer?.uid, pid: peer?.pid });
    });
    this.#injector.injectConnection(socket);
  }
}

export function createApiServer(options: ApiServerOptions): ApiServer {
  return new ApiServer(options);
}

function bindings(options: ApiServerOptions): Binding[] {
  const { supervisor: tasks, services: keeper, store, exchange, tail, health, logger, version } = options;
  const services: Readonly<Record<string, Readonly<Record<string, Binding>>>> = {
    'containerd.services.containers.v1.Containers': containersService({ containers: store.containers, exchange }),
    'containerd.services.events.v1.Events': eventsService({ exchange, tasks }),
    'containerd.services.introspection.v1.Introspection': introspectionService({ uuid: store.instance.uuid, tasks }),
    'containerd.services.leases.v1.Leases': leasesService({ leases: store.leases }),
    'containerd.services.namespaces.v1.Namespaces': namespacesService({
      namespaces: store.namespaces,
      exchange,
      tasks,
    }),
    'containerd.services.sandbox.v1.Controller': sandboxControllerService({
      controller: tasks.sandboxes,
      sandboxes: store.sandboxes,
    }),
    'containerd.services.sandbox.v1.Store': sandboxStoreService({ sandboxes: store.sandboxes }),
    'containerd.services.tasks.v1.Tasks': tasksService({
      tasks,
      services: keeper,
      containers: store.containers,
      sandboxes: store.sandboxes,
      logger,
    }),
    'containerd.services.version.v1.Version': versionService(version),
    'shimd.v1.Admin': adminService({
      about: { uuid: store.instance.uuid, version: version.version },
      tasks,
      services: keeper,
      health,
      tail,
    }),
  };
  const served = Object.keys(services);
  const reflection = reflectionService([...served, 'grpc.health.v1.Health']);
  return [...Object.values(services), healthService(new Set(served), health), reflection]
    .flatMap((service) => Object.values<Binding>(service))
    .concat(unservedServices);
}
