import { TaskError, unimplemented } from '../../src/shared/errors/index.ts';
import type { ShimProtocol, TaskApiVersion } from '../../src/shared/messages/index.ts';
import { containerd } from '../../src/shared/proto/gen/task.js';
import { type Any, wireAny } from '../../src/shared/wire/any.ts';

/** How to reach a shim: what its `start` action answered. */
export interface Bootstrap {
  readonly version: TaskApiVersion;
  /** `unix:///path`, or a bare path. */
  readonly address: string;
  readonly protocol: ShimProtocol;
}

const { BootstrapParams, BootstrapResult } = containerd.runtime.bootstrap.v1;

interface LooseBootstrap {
  readonly version: number;
  readonly address: string;
  readonly protocol: string;
}

function tryProtobuf(reply: Uint8Array): LooseBootstrap | undefined {
  try {
    const { version, address, protocol } = BootstrapResult.decode(reply);
    // Text can decode by accident, to nothing that is meant.
    return version >= 2 && address !== '' && /^[a-z]+$/i.test(protocol) ? { version, address, protocol } : undefined;
  } catch {
    return undefined;
  }
}

function tryJson(text: string): LooseBootstrap | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const from: Readonly<Record<string, unknown>> = Object.fromEntries(Object.entries(value));
    const { version, address, protocol } = from;
    if (typeof version !== 'number' || version < 2 || typeof address !== 'string') return undefined;
    return { version, address, protocol: typeof protocol === 'string' ? protocol : '' };
  } catch {
    return undefined;
  }
}

function tryAddress(text: string): LooseBootstrap | undefined {
  const oneLine = !/\s/.test(text);
  const address = oneLine && (/^[a-z]+:\/\/./.test(text) || text.startsWith('/'));
  return address ? { version: 2, address: text, protocol: 'ttrpc' } : undefined;
}

/**
 * Reads the reply of a `start` action, or a saved one: protobuf (2.3 and later), else JSON with a version of at least
 * 2, else the bare address of a version 2 ttrpc shim. The reply can be binary, so it is trimmed only as text.
 * Throws UNIMPLEMENTED for a version above 3, UNKNOWN for a reply or protocol that is none of the known ones.
 */
export function parseBootstrap(reply: Uint8Array): Bootstrap {
  const text = Buffer.from(reply).toString('utf8').trim();
  const parsed = tryProtobuf(reply) ?? tryJson(text) ?? tryAddress(text);
  if (parsed === undefined) {
    const shown = text === '' ? 'nothing' : JSON.stringify(text.slice(0, 200));
    throw new TaskError('UNKNOWN', `the shim's start action printed ${shown} instead of an address`);
  }
  const { version, address } = parsed;
  if (version > 3) {
    throw unimplemented(
      `the shim speaks version ${version} of the task API, the newest supported is 3: not implemented`,
    );
  }
  const protocol = parsed.protocol.toLowerCase();
  if (protocol !== 'ttrpc' && protocol !== 'grpc') {
    throw new TaskError(
      'UNKNOWN',
      `unexpected protocol ${JSON.stringify(parsed.protocol)} of the shim: use ttrpc or grpc`,
    );
  }
  if (address === '') throw new TaskError('UNKNOWN', "the shim's start action answered an empty address");
  return { version: version === 3 ? 3 : 2, address, protocol };
}

/** The text of `bootstrap.json`, as containerd writes and reads it. */
export function formatBootstrap(bootstrap: Bootstrap): string {
  const { version, address, protocol } = bootstrap;
  return JSON.stringify({ version, address, protocol });
}

export interface StartParameters {
  readonly id: string;
  readonly namespace: string;
  readonly eventsAddress: string;
  readonly apiAddress: string;
  readonly publishBinary: string;
  readonly debug: boolean;
  /** Where a shim of 2.3 or later makes its socket; undefined leaves it its default. */
  readonly socketDirectory: string | undefined;
  readonly options?: Any | undefined;
}

const logLevels = { info: 0, debug: -4 } as const;

/** stdin of the `start` action of a shim that reads `BootstrapParams`. */
export function encodeBootstrapParams(parameters: StartParameters): Uint8Array {
  const { socketDirectory, options } = parameters;
  return BootstrapParams.encode({
    instanceId: parameters.id,
    namespace: parameters.namespace,
    logLevel: parameters.debug ? logLevels.debug : logLevels.info,
    containerdTtrpcAddress: parameters.eventsAddress,
    containerdGrpcAddress: parameters.apiAddress,
    containerdBinary: parameters.publishBinary,
    extensions: options === undefined ? [] : [{ value: wireAny(options) }],
    ...(socketDirectory === undefined ? {} : { socketDir: socketDirectory }),
  }).finish();
}
