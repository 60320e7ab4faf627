import { chown, stat } from 'node:fs/promises';
import path from 'node:path';
import { containerUpdated, createApiServer } from '../api/index.ts';
import type { EarlyThreads } from '../pool/index.ts';
import { RestartMonitor } from '../restart/index.ts';
import { unavailable } from '../shared/errors/index.ts';
import { closeInheritedOnExec, growSendBuffer, peerOfSocket, releaseFreeMemory } from '../shared/host/index.ts';
import type { Logger } from '../shared/log/logger.ts';
import { packageVersion } from '../shared/package-version.ts';
import { IdleCollector } from '../shared/util/idle-collector.ts';
import type { Settings } from './config/settings.ts';
import { exitCodes, StartError } from './exit-code.ts';
import { layFoundation } from './foundation.ts';
import { groupNumber } from './group.ts';
import { HealthBoard } from './health-board.ts';
import { CleanupStack } from './lifecycle/cleanup-stack.ts';
import { prepareDirectory } from './prepare-directory.ts';

/** The daemon put together: the one place that knows all rooms, and the order of start and stop. */
export class Daemon {
  readonly #cleanup: CleanupStack;
  #stopping: Promise<boolean> | undefined;

  /**
   * Resolves once clients are served: directories are locked, every shim of an earlier daemon is adopted. Throws what
   * went wrong, with everything undone that was done; running tasks are never among it. The threads of `early` are used
   * before others are started.
   */
  static async start(settings: Settings, logger: Logger, early?: EarlyThreads): Promise<Daemon> {
    const cleanup = new CleanupStack(logger);
    try {
      await compose(settings, { logger, cleanup, early });
      return new Daemon(cleanup);
    } catch (error) {
      await cleanup.unwind();
      throw error;
    }
  }

  private constructor(cleanup: CleanupStack) {
    this.#cleanup = cleanup;
  }

  /** Stops serving, newest part first, and leaves shims and tasks running. True where every part came to an end. */
  stop(): Promise<boolean> {
    this.#stopping ??= this.#cleanup.unwind();
    return this.#stopping;
  }
}

async function compose(
  settings: Settings,
  parts: { readonly logger: Logger; readonly cleanup: CleanupStack; readonly early: EarlyThreads | undefined },
): Promise<void> {
  const { logger, cleanup } = parts;
  const { address } = settings;
  const began = performance.now();
  const version = packageVersion();
  closeInheritedOnExec();
  const group = settings.socketGroup === undefined ? undefined : groupNumber(settings.socketGroup);
  await prepareDirectories(settings);
  const { store, supervisor, exchange, tail, endpoint } = await layFoundation(settings, parts);
  cleanup.push('end event streams', () => {
    exchange.close(unavailable('the daemon is stopping'));
    tail.close();
  });

  const services = new RestartMonitor({
    config: settings.restart,
    tasks: supervisor,
    store,
    logger,
    changed: ({ namespace }, container) => exchange.publish(containerUpdated(namespace, container)),
  });
  const forget = exchange.onPublish((envelope) => services.notice(envelope));
  cleanup.push('close the restart monitor', async () => {
    forget();
    await services.close();
  });

  const health = new HealthBoard({ logger });
  cleanup.push('stop watching over the components', () => health.close());
  health.add(() => store.health());
  health.add(() => supervisor.health());
  health.add(() => [endpoint.health()]);
  health.add(() => [services.health()]);

  const api = createApiServer({
    supervisor,
    services,
    health,
    store,
    exchange,
    tail,
    logger,
    version: { version, revision: '' },
  });
  cleanup.push('close the API', () => api.close(), 10_000);
  await api.listen(address, { mode: group === undefined ? 0o600 : 0o660, peerOf: peerOfSocket, growSendBuffer });
  if (group !== undefined) await chown(address, -1, group);
  health.add(() => [api.health()]);

  const collector = new IdleCollector({ afterwards: releaseFreeMemory });
  cleanup.push('stop collecting when idle', () => collector.close());

  logger.info('daemon ready', {
    address,
    pid: process.pid,
    version,
    shims: supervisor.shims().length,
    tasks: (await supervisor.list()).length,
    milliseconds: Math.round(performance.now() - began),
  });
}

/** Modes are the whole protection of the sockets: who can reach the gRPC socket is root of this host's containers. */
async function prepareDirectories(settings: Settings): Promise<void> {
  const { directories, address, eventsAddress } = settings;
  await prepareDirectory(directories.root, { purpose: 'root', mode: 0o700 });
  // To be passed through, not to be looked into: by the socket's group, and by containers in user namespaces, whose root
  // is nobody on the host and has to get to its rootfs. What lies in it has modes of its own.
  await prepareDirectory(directories.state, { purpose: 'state', mode: 0o711 });
  const events = path.dirname(eventsAddress);
  if (events !== directories.state) await prepareDirectory(events, { purpose: 'events', mode: 0o700 });
  // Another directory is somebody else's: it has to be there, and its mode is its owner's business.
  await checkParent(address);
}

async function checkParent(address: string): Promise<void> {
  const parent = path.dirname(address);
  const found = await stat(parent).catch(() => undefined);
  if (found?.isDirectory()) return;
  throw new StartError(
    `cannot listen at ${address}: there is no directory ${parent}; make it first`,
    exitCodes.failure,
  );
}
