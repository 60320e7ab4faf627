import { fileURLToPath } from 'node:url';
import { createEventTail, type Envelope, EventsEndpoint, type EventTail, Exchange } from '../events/index.ts';
import type { EarlyThreads } from '../pool/index.ts';
import type { Logger } from '../shared/log/logger.ts';
import { Store } from '../store/index.ts';
import { Supervisor } from '../supervisor/index.ts';
import type { Settings } from './config/settings.ts';
import { lockDirectories } from './daemon-lock.ts';
import { EarlyEvents } from './early-events.ts';
import type { CleanupStack } from './lifecycle/cleanup-stack.ts';

/** What the daemon and the library stand on alike. */
export interface Foundation {
  readonly store: Store;
  readonly supervisor: Supervisor;
  readonly exchange: Exchange;
  /** What the exchange had, from before this start too. */
  readonly tail: EventTail;
  /** Where shims tell their events. */
  readonly endpoint: EventsEndpoint;
}

/**
 * Locks the directories, which have to be there, and puts up store, events endpoint and supervisor, in that order; what
 * undoes each goes on `cleanup` at once. Resolves when every shim that was left running is adopted.
 */
export async function layFoundation(
  settings: Settings,
  parts: { readonly logger: Logger; readonly cleanup: CleanupStack; readonly early?: EarlyThreads | undefined },
): Promise<Foundation> {
  const { directories, eventsAddress } = settings;
  const { logger, cleanup, early } = parts;
  const locks = lockDirectories(directories);
  cleanup.push('release the directories', () => locks[Symbol.dispose]());

  const store = await Store.open(directories.root, { logger });
  cleanup.push('close the store', () => store.close());
  const tail = createEventTail(store.events);
  const exchange = new Exchange({ tail });

  // Before any shim is adopted: one whose events find no endpoint waits 5 s for each.
  const forwarded = new EarlyEvents<Envelope>();
  const endpoint = await EventsEndpoint.listen(eventsAddress, (envelope) => forwarded.take(envelope), logger);
  cleanup.push('close the events endpoint', () => endpoint.close());

  const supervisor = await Supervisor.open({
    directories,
    workers: settings.workers,
    deadlines: settings.deadlines,
    placement: settings.placement,
    exits: store.exits,
    sandboxExits: store.sandboxExits,
    exchange,
    forwarded,
    early,
    logger,
    eventsAddress,
    apiAddress: settings.address,
    publishBinary: ownExecutable(),
    shimEnvironment: settings.shimEnvironment,
    socketDirectory: settings.socketDirectory,
    debug: settings.shimDebug,
    heartbeat: settings.heartbeat,
    lostExitAfter: settings.lostExitAfter,
    logLevel: settings.logLevel,
  });
  cleanup.push('close the supervisor', () => supervisor.close(), 15_000);
  return { store, supervisor, exchange, tail, endpoint };
}

/** What shims are given as `-publish-binary`: this program understands `publish`. */
function ownExecutable(): string {
  return fileURLToPath(new URL('../main.js', import.meta.url));
}
