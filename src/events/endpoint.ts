import { invalidArgument } from '../shared/errors/index.ts';
import type { Finding } from '../shared/health.ts';
import type { Logger } from '../shared/log/logger.ts';
import { containerd } from '../shared/proto/gen/events.js';
import { TtrpcServer, unary } from '../shared/ttrpc/index.ts';
import { plainAny } from '../shared/wire/any.ts';
import { plainTimestamp } from '../shared/wire/timestamp.ts';
import { assertEnvelope, type Envelope } from './envelope.ts';

const { ForwardRequest } = containerd.services.events.ttrpc.v1;

/** The name that shims call. */
const eventsService = 'containerd.services.events.ttrpc.v1.Events';

const emptyReply = new Uint8Array();

/**
 * Where shims publish their events. Every call is answered at once, whatever becomes of the event: a shim sends one at a time,
 * and one that waits for an answer ends up with its tasks stalled. The socket file stays after `close`, so that a shim
 * is refused at once while nobody serves it; a missing file costs it seconds a try.
 */
export class EventsEndpoint implements AsyncDisposable {
  readonly #server: TtrpcServer;

  /** Listens at a path or `unix://path`, in the place of the file that an earlier endpoint left there. */
  static async listen(path: string, onForward: (envelope: Envelope) => void, logger: Logger): Promise<EventsEndpoint> {
    const forward = unary({ decode: decodeEnvelope, encode: () => emptyReply }, (envelope: Envelope) => {
      try {
        onForward(envelope);
      } catch (error) {
        const { namespace, topic } = envelope;
        logger.error('forwarded event not handled', { namespace, topic, error: String(error) });
      }
    });
    const server = new TtrpcServer({ services: { [eventsService]: { Forward: forward } }, logger });
    await server.listen(path, { mode: 0o600 });
    return new EventsEndpoint(server);
  }

  private constructor(server: TtrpcServer) {
    this.#server = server;
  }

  /** Failed where shims do not find it any more. */
  health(): Finding {
    const [lost] = this.#server.lostAddresses();
    if (lost === undefined) return { component: 'events-endpoint' };
    const reason = `its socket ${lost} was removed or replaced, and shims cannot tell their events: restart the daemon`;
    return { component: 'events-endpoint', trouble: { state: 'failed', reason } };
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function decodeEnvelope(bytes: Uint8Array): Envelope {
  const { envelope } = ForwardRequest.decode(bytes);
  const timestamp = plainTimestamp(envelope?.timestamp);
  if (timestamp === undefined) throw invalidArgument('timestamp must be set on forwarded event: invalid argument');
  const event = plainAny(envelope?.event);
  if (event === undefined) throw invalidArgument('forwarded event has no type: invalid argument');
  const plain: Envelope = {
    timestamp,
    namespace: envelope?.namespace ?? '',
    topic: envelope?.topic ?? '',
    // A view of what was read from the socket would keep all of that in memory.
    event: { typeUrl: event.typeUrl, value: new Uint8Array(event.value) },
  };
  assertEnvelope(plain);
  return plain;
}
