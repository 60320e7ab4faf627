import { containerd } from '../shared/proto/gen/task.js';

/** What a shim is told when it starts, from stdin, flags and environment together. */
export interface Bootstrap {
  readonly id: string;
  readonly namespace: string;
  /** The daemon's events endpoint; empty where there is none. */
  readonly eventsAddress: string;
  readonly grpcAddress: string;
  readonly socketDirectory: string | undefined;
  readonly debug: boolean;
  /** How the reply is written: as it was asked. */
  readonly reply: 'protobuf' | 'json';
}

export interface BootstrapDefaults {
  readonly id: string;
  readonly namespace: string;
  readonly address: string;
  readonly debug: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const { LogLevel } = containerd.runtime.bootstrap.v1;

/**
 * Reads what came on stdin: a BootstrapParams, the older form (the runtime's options as an `Any`, of which this runtime
 * has none) or nothing. Both messages begin with two strings, and an `Any` has no more fields than these.
 */
export function parseBootstrap(stdin: Uint8Array, defaults: BootstrapDefaults): Bootstrap {
  const { environment } = defaults;
  const plain: Bootstrap = {
    id: defaults.id,
    namespace: defaults.namespace || (environment['NAMESPACE'] ?? ''),
    eventsAddress: environment['TTRPC_ADDRESS'] ?? '',
    grpcAddress: defaults.address || (environment['GRPC_ADDRESS'] ?? ''),
    socketDirectory: undefined,
    debug: defaults.debug,
    reply: 'json',
  };
  const params = stdin.length > 0 ? decodeParams(stdin) : undefined;
  if (params === undefined) return plain;
  return {
    id: params.instanceId || plain.id,
    namespace: params.namespace || plain.namespace,
    eventsAddress: params.containerdTtrpcAddress || plain.eventsAddress,
    grpcAddress: params.containerdGrpcAddress || plain.grpcAddress,
    socketDirectory: params.socketDir || undefined,
    debug: plain.debug || params.logLevel <= LogLevel.LOG_LEVEL_DEBUG,
    reply: 'protobuf',
  };
}

function decodeParams(stdin: Uint8Array): containerd.runtime.bootstrap.v1.BootstrapParams | undefined {
  try {
    const params = containerd.runtime.bootstrap.v1.BootstrapParams.decode(stdin);
    const isAny =
      /[./]/.test(params.instanceId) &&
      !params.containerdVersion &&
      !params.containerdTtrpcAddress &&
      !params.containerdGrpcAddress &&
      !params.containerdBinary &&
      params.extensions.length === 0;
    return isAny ? undefined : params;
  } catch {
    // An Any's value need not be UTF-8, and so need not decode as a namespace.
    return undefined;
  }
}

/** The reply of the `start` action for a shim that listens on `socket`. */
export function encodeBootstrapReply(socket: string, reply: Bootstrap['reply']): Uint8Array {
  const result = { version: 3, address: `unix://${socket}`, protocol: 'ttrpc' };
  if (reply === 'json') return Buffer.from(JSON.stringify(result));
  return containerd.runtime.bootstrap.v1.BootstrapResult.encode(result).finish();
}
