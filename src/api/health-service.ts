import { notFound } from '../shared/errors/index.ts';
import { healthDefinition } from '../shared/grpc/index.ts';
import { type Essential, failedEssentials } from '../shared/health.ts';
import { grpc } from '../shared/proto/gen/services.js';
import { onAbort } from '../shared/util/on-abort.ts';
import { type Service, serverStream, unary } from './binding.ts';
import type { HealthReport } from './health-report.ts';

const { ServingStatus } = grpc.health.v1.HealthCheckResponse;
type Status = (typeof ServingStatus)[keyof typeof ServingStatus];

/** What a service rests on: where one of it has failed the service does not serve. Others do whenever the daemon answers. */
const foundations: Readonly<Record<string, readonly Essential[]>> = {
  // The daemon as a whole.
  '': ['store', 'slots'],
  'containerd.services.containers.v1.Containers': ['store'],
  'containerd.services.leases.v1.Leases': ['store'],
  'containerd.services.namespaces.v1.Namespaces': ['store'],
  'containerd.services.sandbox.v1.Controller': ['slots'],
  'containerd.services.sandbox.v1.Store': ['store'],
  'containerd.services.tasks.v1.Tasks': ['slots'],
};

/**
 * `grpc.health.v1.Health`, by what `health` says of what each service rests on. `services` are the names that can be asked
 * for, and the empty one, which is the daemon as a whole. A component that is degraded serves.
 */
export function healthService(services: ReadonlySet<string>, health: HealthReport): Service<typeof healthDefinition> {
  const statusOf = (service: string): Status => {
    if (service !== '' && !services.has(service)) return ServingStatus.SERVICE_UNKNOWN;
    const failed = failedEssentials(health.components());
    const restsOn = foundations[service] ?? [];
    return restsOn.some((part) => failed.has(part)) ? ServingStatus.NOT_SERVING : ServingStatus.SERVING;
  };
  return {
    check: unary(healthDefinition.check, ({ service }) => {
      const status = statusOf(service);
      if (status === ServingStatus.SERVICE_UNKNOWN)
        throw notFound(`service ${JSON.stringify(service)} is not served: not found`);
      return { status };
    }),

    /** The status of now, and then each other one, within about a second. */
    watch: serverStream(healthDefinition.watch, async function* ({ service }, context) {
      const { signal } = context.limits;
      for (let told: Status | undefined; !signal.aborted; ) {
        const status = statusOf(service);
        if (status !== told) yield { status };
        told = status;
        await nextLook(health, signal);
      }
    }),
  };
}

/** Resolves after the next look, or when the signal is aborted. */
function nextLook(health: HealthReport, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      forget();
      release();
      resolve();
    };
    const release = onAbort(signal, settle);
    const forget = health.onLook(settle);
    if (signal.aborted) settle();
  });
}
