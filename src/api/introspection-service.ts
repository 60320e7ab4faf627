import { statSync } from 'node:fs';
import { absent, parseFilters, presentUnlessEmpty } from '../events/filter/index.ts';
import { invalidArgument, notFound, unimplemented } from '../shared/errors/index.ts';
import { introspectionDefinition } from '../shared/grpc/index.ts';
import type { RuntimeInfo } from '../shared/messages/reply.ts';
import { containerd } from '../shared/proto/gen/services.js';
import { type Any, isTypeUrl, plainAny, wireAny } from '../shared/wire/any.ts';
import { type Service, unary } from './binding.ts';
import { type Plugin, plugins, runtimePlugin } from './plugins.ts';
import type { TaskManager } from './task-manager.ts';

export interface IntrospectionServiceOptions {
  /** Of the installation, stable over restarts. */
  readonly uuid: string;
  readonly tasks: TaskManager;
}

const platform = { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch };
const runtimeRequest = 'containerd.types.RuntimeRequest';
const runtimeInfo = 'containerd.types.RuntimeInfo';

/** `containerd.services.introspection.v1.Introspection`. */
export function introspectionService(options: IntrospectionServiceOptions): Service<typeof introspectionDefinition> {
  const { uuid, tasks } = options;
  return {
    plugins: unary(introspectionDefinition.plugins, (request) => {
      const filter = parseFilters(request.filters);
      const found = plugins.filter((plugin) =>
        filter.match(([field]) => {
          if (field === 'type') return presentUnlessEmpty(plugin.type);
          return field === 'id' ? presentUnlessEmpty(plugin.id) : absent;
        }),
      );
      return { plugins: found.map(writePlugin) };
    }),

    server: unary(introspectionDefinition.server, () => ({ uuid, pid: process.pid, pidns: pidNamespace() })),

    pluginInfo: unary(introspectionDefinition.pluginInfo, async (request) => {
      const { type, id } = request;
      const plugin = plugins.find((known) => known.type === type && known.id === id);
      if (!plugin) throw notFound(`plugin ${type}.${id} not found: not found`);
      const asked = plainAny(request.options);
      if (!asked) return { plugin: writePlugin(plugin) };
      if (plugin.type !== runtimePlugin.type) {
        throw unimplemented(`plugin ${type}.${id} does not provide extra information: not implemented`);
      }
      const info = await tasks.runtimeInfo(readRuntimeRequest(asked));
      return { plugin: writePlugin(plugin), extra: writeRuntimeInfo(info) };
    }),
  };
}

/** The inode of the daemon's pid namespace: clients on the host compare it with their own. */
function pidNamespace(): number {
  return statSync('/proc/self/ns/pid').ino;
}

function writePlugin({ type, id, requires }: Plugin) {
  return { type, id, requires: [...requires], platforms: type === runtimePlugin.type ? [platform] : [] };
}

function readRuntimeRequest(asked: Any): { runtime: string; options?: Any } {
  if (!isTypeUrl(asked.typeUrl, runtimeRequest)) {
    throw invalidArgument(`options of type ${asked.typeUrl}, not ${runtimeRequest}: invalid argument`);
  }
  let request: containerd.types.RuntimeRequest;
  try {
    request = containerd.types.RuntimeRequest.decode(asked.value);
  } catch (error) {
    throw invalidArgument(`the options are no ${runtimeRequest}: ${String(error)}: invalid argument`);
  }
  const options = plainAny(request.options);
  return { runtime: request.runtimePath, ...(options === undefined ? {} : { options }) };
}

function writeRuntimeInfo(info: RuntimeInfo): { type_url: string; value: Uint8Array } {
  const { name, version, revision, options, features, annotations } = info;
  const value = containerd.types.RuntimeInfo.encode({
    name,
    version: { version, revision },
    options: wireAny(options) ?? null,
    features: wireAny(features) ?? null,
    annotations: { ...annotations },
  }).finish();
  return wireAny({ typeUrl: runtimeInfo, value });
}
