import { hasCode, TaskError } from '../../src/shared/errors/index.ts';
import { containerd } from '../../src/shared/proto/gen/sandbox.js';
import type { UnaryMethod } from '../../src/shared/ttrpc/method.ts';
import type { Shim } from './shim.ts';

const api = containerd.runtime.sandbox.v1;

/** The service of a shim that runs sandboxes, beside its task service; most shims have none. */
const service = 'containerd.runtime.sandbox.v1.Sandbox';

function unary<Req, Res>(
  name: string,
  request: { encode(message: Req): { finish(): Uint8Array } },
  response: { decode(bytes: Uint8Array): Res },
): UnaryMethod<Req, Res> {
  return {
    service,
    name,
    encode: (message) => request.encode(message).finish(),
    decode: (bytes) => response.decode(bytes),
  };
}

export const sandboxMethods = {
  create: unary('CreateSandbox', api.CreateSandboxRequest, api.CreateSandboxResponse),
  start: unary('StartSandbox', api.StartSandboxRequest, api.StartSandboxResponse),
  platform: unary('Platform', api.PlatformRequest, api.PlatformResponse),
  stop: unary('StopSandbox', api.StopSandboxRequest, api.StopSandboxResponse),
  wait: unary('WaitSandbox', api.WaitSandboxRequest, api.WaitSandboxResponse),
  status: unary('SandboxStatus', api.SandboxStatusRequest, api.SandboxStatusResponse),
  shutdown: unary('ShutdownSandbox', api.ShutdownSandboxRequest, api.ShutdownSandboxResponse),
  metrics: unary('SandboxMetrics', api.SandboxMetricsRequest, api.SandboxMetricsResponse),
};

/** Calls a method of the shim's sandbox service. Throws the shim's own error, UNIMPLEMENTED in our words where it has none. */
export async function callSandbox<Req, Res>(
  shim: Shim,
  method: UnaryMethod<Req, Res>,
  request: Req,
  options: { readonly deadline?: number | undefined } = {},
): Promise<Res> {
  try {
    return await shim.client.send(method, request, options);
  } catch (error) {
    if (!hasCode(error, 'UNIMPLEMENTED')) throw error;
    throw new TaskError(
      'UNIMPLEMENTED',
      `the shim ${shim.binary} does not serve ${method.name} of ${service}: use a runtime that does, or group tasks by ` +
        'the annotation io.kubernetes.cri.sandbox-id of their specs: not implemented',
      { cause: error },
    );
  }
}
