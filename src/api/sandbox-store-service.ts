import { setImmediate } from 'node:timers/promises';
import { absent, type Filter, labelField, parseFilters, presentUnlessEmpty } from '../events/filter/index.ts';
import { TaskError } from '../shared/errors/index.ts';
import { sandboxStoreDefinition } from '../shared/grpc/index.ts';
import { type Namespace, parseSandboxId, type SandboxId } from '../shared/identifiers.ts';
import type { SandboxEntry, SandboxStore } from '../store/index.ts';
import { type Service, unary } from './binding.ts';
import { withoutEmpty } from './labels.ts';
import { maxMessageBytes } from './limits.ts';
import { checkSandbox, readSandbox, writeSandbox } from './sandbox-message.ts';
import { updateSandbox } from './sandbox-update.ts';

/** Sandboxes that are read at a time: between pages other calls get their turn. */
const pageSize = 64;

/** `containerd.services.sandbox.v1.Store`: metadata; nothing runs because of it. */
export function sandboxStoreService({
  sandboxes,
}: {
  readonly sandboxes: SandboxStore;
}): Service<typeof sandboxStoreDefinition> {
  return {
    create: unary(sandboxStoreDefinition.create, async (request, context) => {
      const namespace = context.namespace();
      const description = checkSandbox(readSandbox(request.sandbox));
      const sandbox = await sandboxes.create(namespace, { ...description, labels: withoutEmpty(description.labels) });
      return { sandbox: writeSandbox(sandbox) };
    }),

    update: unary(sandboxStoreDefinition.update, async (request, context) => {
      const wanted = readSandbox(request.sandbox);
      const sandbox = await sandboxes.update(context.namespace(), wanted.id, (current) =>
        updateSandbox(current, wanted, request.fields),
      );
      return { sandbox: writeSandbox(sandbox) };
    }),

    delete: unary(sandboxStoreDefinition.delete, async (request, context) => {
      await sandboxes.delete(context.namespace(), parseSandboxId(request.sandboxId));
      return {};
    }),

    list: unary(sandboxStoreDefinition.list, async (request, context) => {
      const found: SandboxEntry[] = [];
      let bytes = 0;
      for await (const sandbox of select(sandboxes, context.namespace(), parseFilters(request.filters))) {
        bytes += sandbox.spec?.value.length ?? 0;
        if (bytes > maxMessageBytes) {
          throw new TaskError(
            'RESOURCE_EXHAUSTED',
            `the list is over ${maxMessageBytes} bytes long: use filters that match fewer sandboxes: resource exhausted`,
          );
        }
        found.push(sandbox);
      }
      return { list: found.map(writeSandbox) };
    }),

    get: unary(sandboxStoreDefinition.get, (request, context) => {
      const sandbox = sandboxes.get(context.namespace(), parseSandboxId(request.sandboxId));
      return { sandbox: writeSandbox(sandbox) };
    }),
  };
}

async function* select(
  sandboxes: SandboxStore,
  namespace: Namespace,
  filter: Filter,
): AsyncGenerator<SandboxEntry, void, undefined> {
  let after: SandboxId | undefined;
  for (;;) {
    const page = sandboxes.page(namespace, { after, limit: pageSize });
    for (const sandbox of page) if (matches(sandbox, filter)) yield sandbox;
    after = page.at(-1)?.id;
    if (page.length < pageSize) return;
    await setImmediate();
  }
}

function matches(sandbox: SandboxEntry, filter: Filter): boolean {
  return filter.match(([field, ...rest]) => {
    switch (field) {
      case 'id':
        return presentUnlessEmpty(sandbox.id);
      case 'runtime':
        return rest[0] === 'name' || rest.length === 0 ? presentUnlessEmpty(sandbox.runtime.name) : absent;
      case 'sandboxer':
        return presentUnlessEmpty(sandbox.sandboxer);
      case 'labels':
        return labelField(sandbox.labels, rest);
      default:
        return absent;
    }
  });
}
