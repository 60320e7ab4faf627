import { absent, labelField, parseFilters, presentUnlessEmpty } from '../events/filter/index.ts';
import { invalidArgument } from '../shared/errors/index.ts';
import { namespacesDefinition } from '../shared/grpc/index.ts';
import { type Namespace, parseNamespace } from '../shared/identifiers.ts';
import type { containerd } from '../shared/proto/gen/services.js';
import type { NamespaceEntry, NamespaceStore } from '../store/index.ts';
import { type Service, unary } from './binding.ts';
import type { EventExchange } from './event-exchange.ts';
import { checkLabels, withoutEmpty } from './labels.ts';
import { namespaceCreated, namespaceDeleted, namespaceUpdated } from './metadata-events.ts';
import type { TaskManager } from './task-manager.ts';

export interface NamespacesServiceOptions {
  readonly namespaces: NamespaceStore;
  readonly exchange: EventExchange;
  readonly tasks: TaskManager;
}

type Labels = Readonly<Record<string, string>>;

/** `containerd.services.namespaces.v1.Namespaces`. */
export function namespacesService(options: NamespacesServiceOptions): Service<typeof namespacesDefinition> {
  const { namespaces, exchange, tasks } = options;
  return {
    get: unary(namespacesDefinition.get, (request) => {
      const name = parseNamespace(request.name);
      return { namespace: { name, labels: { ...namespaces.labels(name) } } };
    }),

    list: unary(namespacesDefinition.list, (request) => {
      const filter = parseFilters(request.filter === '' ? [] : [request.filter]);
      const found = namespaces.list().filter((entry) =>
        filter.match(([field, ...rest]) => {
          if (field === 'name') return presentUnlessEmpty(entry.name);
          return field === 'labels' ? labelField(entry.labels, rest) : absent;
        }),
      );
      return { namespaces: found.map(writeNamespace) };
    }),

    create: unary(namespacesDefinition.create, async (request) => {
      const { name, labels } = readNamespace(request.namespace);
      const created = await namespaces.create(name, withoutEmpty(labels));
      exchange.publish(namespaceCreated(created));
      return { namespace: writeNamespace(created) };
    }),

    update: unary(namespacesDefinition.update, async (request) => {
      const { name, labels } = readNamespace(request.namespace);
      const mask = request.updateMask?.paths ?? [];
      const updated = await namespaces.update(name, (current) => withoutEmpty(updateLabels(current, labels, mask)));
      exchange.publish(namespaceUpdated(updated));
      return { namespace: writeNamespace(updated) };
    }),

    delete: unary(namespacesDefinition.delete, async (request) => {
      const name = parseNamespace(request.name);
      await namespaces.delete(name, tasks.hasTasks(name) ? ['tasks'] : []);
      exchange.publish(namespaceDeleted(name));
      return {};
    }),
  };
}

function updateLabels(current: Labels, wanted: Labels, mask: readonly string[]): Labels {
  if (mask.length === 0) return wanted;
  const prefix = 'labels.';
  let updated = { ...current };
  for (const field of mask) {
    if (field === 'labels') {
      updated = { ...wanted };
    } else if (field.startsWith(prefix)) {
      const key = field.slice(prefix.length);
      updated = { ...updated, [key]: wanted[key] ?? '' };
    } else {
      throw invalidArgument(`cannot update ${JSON.stringify(field)} field: invalid argument`);
    }
  }
  return updated;
}

function readNamespace(message: containerd.services.namespaces.v1.Namespace.$Properties | null | undefined): {
  name: Namespace;
  labels: Labels;
} {
  const name = parseNamespace(message?.name ?? '');
  const labels = { ...message?.labels };
  checkLabels(labels, 'namespace.Labels');
  return { name, labels };
}

function writeNamespace(entry: NamespaceEntry) {
  return { name: entry.name, labels: { ...entry.labels } };
}
