import { invalidArgument, notFound } from '../shared/errors/index.ts';
import { sandboxControllerDefinition } from '../shared/grpc/index.ts';
import { type Namespace, parseSandboxId, type SandboxRef } from '../shared/identifiers.ts';
import type { containerd } from '../shared/proto/gen/services.js';
import { plainAny, wireAny } from '../shared/wire/any.ts';
import { timestampNow } from '../shared/wire/timestamp.ts';
import type { SandboxStore } from '../store/index.ts';
import { type Service, unary } from './binding.ts';
import type { SandboxCreation, SandboxManager } from './sandbox-manager.ts';
import { readSandbox } from './sandbox-message.ts';
import { parseMounts } from './task-requests.ts';

/** The one controller there is: the sandbox's own shim. Clients of containerd 1.7 name none. */
const sandboxer = 'shim';

/** Longest grace of a stop that is believed, in seconds. */
const maxTimeoutSeconds = 24 * 3600;

function parseRef(
  namespace: Namespace,
  request: { readonly sandboxId: string; readonly sandboxer: string },
): SandboxRef {
  if (request.sandboxer !== '' && request.sandboxer !== sandboxer) {
    throw notFound(
      `failed to get sandbox controller by ${request.sandboxer.slice(0, 256)}: there is only ${sandboxer}: not found`,
    );
  }
  return { namespace, sandbox: parseSandboxId(request.sandboxId) };
}

/** `containerd.services.sandbox.v1.Controller`: sandboxes that run, each in a shim that serves the sandbox service. */
export function sandboxControllerService({
  controller,
  sandboxes,
}: {
  readonly controller: SandboxManager;
  readonly sandboxes: Pick<SandboxStore, 'get'>;
}): Service<typeof sandboxControllerDefinition> {
  const methods = sandboxControllerDefinition;
  return {
    create: unary(methods.create, async (request, context) => {
      const ref = parseRef(context.namespace(), request);
      // Clients of containerd 1.7 send the id alone, of a sandbox that they have stored.
      const sandbox = request.sandbox ? readSandbox(request.sandbox) : sandboxes.get(ref.namespace, ref.sandbox);
      if (sandbox.id !== ref.sandbox) {
        throw invalidArgument(`the request is about ${ref.sandbox}, its sandbox is ${sandbox.id}: invalid argument`);
      }
      const options = plainAny(request.options);
      const creation: SandboxCreation = {
        runtime: sandbox.runtime.name,
        rootfs: parseMounts(request.rootfs),
        netnsPath: request.netnsPath,
        annotations: { ...request.annotations },
        ...(sandbox.runtime.options === undefined ? {} : { runtimeOptions: sandbox.runtime.options }),
        ...(sandbox.spec === undefined ? {} : { spec: sandbox.spec.value }),
        ...(options === undefined ? {} : { options }),
      };
      await controller.create(ref, creation, context.limits);
      return { sandboxId: ref.sandbox };
    }),

    start: unary(methods.start, async (request, context) => {
      const ref = parseRef(context.namespace(), request);
      const { pid, createdAt, address, apiVersion, spec } = await controller.start(ref, context.limits);
      return {
        sandboxId: ref.sandbox,
        pid,
        createdAt,
        labels: {},
        address,
        version: apiVersion,
        spec: wireAny(spec) ?? null,
      };
    }),

    platform: unary(methods.platform, async (request, context) => ({
      platform: await controller.platform(parseRef(context.namespace(), request), context.limits),
    })),

    stop: unary(methods.stop, async (request, context) => {
      const timeoutSeconds = Math.min(request.timeoutSecs, maxTimeoutSeconds);
      await controller.stop(parseRef(context.namespace(), request), { timeoutSeconds }, context.limits);
      return {};
    }),

    wait: unary(
      methods.wait,
      async (request, context) => {
        const { status, exitedAt } = await controller.wait(parseRef(context.namespace(), request), context.limits);
        return { exitStatus: status, exitedAt };
      },
      { endless: true },
    ),

    status: unary(methods.status, async (request, context) => {
      const ref = parseRef(context.namespace(), request);
      const status = await controller.status(ref, { verbose: request.verbose }, context.limits);
      const { pid, state, info, createdAt, exitedAt, extra, address, apiVersion } = status;
      return {
        sandboxId: ref.sandbox,
        pid,
        state,
        info: { ...info },
        createdAt: createdAt ?? null,
        exitedAt: exitedAt ?? null,
        extra: wireAny(extra) ?? null,
        address,
        version: apiVersion,
      };
    }),

    shutdown: unary(methods.shutdown, async (request, context) => {
      await controller.shutdown(parseRef(context.namespace(), request), context.limits);
      return {};
    }),

    metrics: unary(methods.metrics, async (request, context) => {
      const { id, timestamp, metrics } = await controller.metrics(
        parseRef(context.namespace(), request),
        context.limits,
      );
      const metric: containerd.types.Metric.$Properties = {
        id,
        timestamp: timestamp ?? timestampNow(),
        data: wireAny(metrics) ?? null,
      };
      return { metrics: metric };
    }),

    update: unary(methods.update, async (request, context) => {
      const ref = parseRef(context.namespace(), request);
      if (!request.sandbox) throw invalidArgument('sandbox can not be nil: invalid argument');
      await controller.update(ref);
      return {};
    }),
  };
}
