import { once } from 'node:events';
import { notFound } from '../shared/errors/index.ts';
import { healthDefinition } from '../shared/grpc/index.ts';
import { grpc } from '../shared/proto/gen/services.js';
import { type Service, serverStream, unary } from './binding.ts';

const { ServingStatus } = grpc.health.v1.HealthCheckResponse;

/** `grpc.health.v1.Health`: a daemon that answers is serving; `services` are the names that can be asked for. */
export function healthService(services: ReadonlySet<string>): Service<typeof healthDefinition> {
  const isKnown = (service: string) => service === '' || services.has(service);
  return {
    check: unary(healthDefinition.check, (request) => {
      if (!isKnown(request.service))
        throw notFound(`service ${JSON.stringify(request.service)} is not served: not found`);
      return { status: ServingStatus.SERVING };
    }),

    /** Says so once: the status does not change until the stream ends with the daemon. */
    watch: serverStream(healthDefinition.watch, async function* (request, context) {
      yield { status: isKnown(request.service) ? ServingStatus.SERVING : ServingStatus.SERVICE_UNKNOWN };
      const { signal } = context.limits;
      if (!signal.aborted) await once(signal, 'abort');
    }),
  };
}
