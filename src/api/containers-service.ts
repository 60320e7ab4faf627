import { setImmediate } from 'node:timers/promises';
import { absent, type Filter, labelField, parseFilters, presentUnlessEmpty } from '../events/filter/index.ts';
import { TaskError } from '../shared/errors/index.ts';
import { containersDefinition } from '../shared/grpc/index.ts';
import { type Namespace, parseTaskId, type TaskId } from '../shared/identifiers.ts';
import type { Container, ContainerStore } from '../store/index.ts';
import { type Service, serverStream, unary } from './binding.ts';
import { checkContainer, readContainer, writeContainer } from './container-message.ts';
import { updateContainer } from './container-update.ts';
import type { EventExchange } from './event-exchange.ts';
import { withoutEmpty } from './labels.ts';
import { maxMessageBytes } from './limits.ts';
import { containerCreated, containerDeleted, containerUpdated } from './metadata-events.ts';

/** Containers that are read at a time: between pages other calls get their turn. */
const pageSize = 64;

export interface ContainersServiceOptions {
  readonly containers: ContainerStore;
  readonly exchange: EventExchange;
}

/** `containerd.services.containers.v1.Containers`: metadata; nothing runs because of it. */
export function containersService({
  containers,
  exchange,
}: ContainersServiceOptions): Service<typeof containersDefinition> {
  return {
    get: unary(containersDefinition.get, (request, context) => {
      const container = containers.get(context.namespace(), parseTaskId(request.id));
      return { container: writeContainer(container) };
    }),

    list: unary(containersDefinition.list, async (request, context) => {
      const found: Container[] = [];
      let bytes = 0;
      for await (const container of select(containers, context.namespace(), parseFilters(request.filters))) {
        bytes += container.spec.value.length;
        if (bytes > maxMessageBytes) {
          throw new TaskError(
            'RESOURCE_EXHAUSTED',
            `the list is over ${maxMessageBytes} bytes long: use ListStream, or filters that match fewer containers: resource exhausted`,
          );
        }
        found.push(container);
      }
      return { containers: found.map(writeContainer) };
    }),

    listStream: serverStream(containersDefinition.listStream, async function* (request, context) {
      for await (const container of select(containers, context.namespace(), parseFilters(request.filters))) {
        yield { container: writeContainer(container) };
      }
    }),

    create: unary(containersDefinition.create, async (request, context) => {
      const namespace = context.namespace();
      const description = checkContainer(readContainer(request.container));
      const container = await containers.create(namespace, {
        ...description,
        labels: withoutEmpty(description.labels),
      });
      exchange.publish(containerCreated(namespace, container));
      return { container: writeContainer(container) };
    }),

    update: unary(containersDefinition.update, async (request, context) => {
      const namespace = context.namespace();
      const wanted = readContainer(request.container);
      const mask = request.updateMask?.paths ?? [];
      const container = await containers.update(namespace, wanted.id, (current) =>
        updateContainer(current, wanted, mask),
      );
      exchange.publish(containerUpdated(namespace, container));
      return { container: writeContainer(container) };
    }),

    delete: unary(containersDefinition.delete, async (request, context) => {
      const namespace = context.namespace();
      const id = parseTaskId(request.id);
      await containers.delete(namespace, id);
      exchange.publish(containerDeleted(namespace, id));
      return {};
    }),
  };
}

async function* select(
  containers: ContainerStore,
  namespace: Namespace,
  filter: Filter,
): AsyncGenerator<Container, void, undefined> {
  let after: TaskId | undefined;
  for (;;) {
    const page = containers.page(namespace, { after, limit: pageSize });
    for (const container of page) if (matches(container, filter)) yield container;
    after = page.at(-1)?.id;
    if (page.length < pageSize) return;
    await setImmediate();
  }
}

function matches(container: Container, filter: Filter): boolean {
  return filter.match(([field, ...rest]) => {
    switch (field) {
      case 'id':
        return presentUnlessEmpty(container.id);
      case 'image':
        return presentUnlessEmpty(container.image);
      case 'runtime':
        return rest[0] === 'name' ? presentUnlessEmpty(container.runtime.name) : absent;
      case 'labels':
        return labelField(container.labels, rest);
      default:
        return absent;
    }
  });
}
