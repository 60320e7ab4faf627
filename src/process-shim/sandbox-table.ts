import { containerd } from '../shared/proto/gen/sandbox.js';
import type { ServiceTable } from '../shared/ttrpc/index.ts';
import type { SandboxService } from './sandbox-service.ts';
import { method } from './service-table.ts';

const api = containerd.runtime.sandbox.v1;

/** Serves `service` under the name of the sandbox API. */
export function sandboxServices(service: SandboxService): ServiceTable {
  return {
    'containerd.runtime.sandbox.v1.Sandbox': {
      CreateSandbox: method(api.CreateSandboxRequest, api.CreateSandboxResponse, (request) => service.create(request)),
      StartSandbox: method(api.StartSandboxRequest, api.StartSandboxResponse, (request) => service.start(request)),
      Platform: method(api.PlatformRequest, api.PlatformResponse, (request) => service.platform(request)),
      StopSandbox: method(api.StopSandboxRequest, api.StopSandboxResponse, (request) => service.stop(request)),
      WaitSandbox: method(api.WaitSandboxRequest, api.WaitSandboxResponse, (request, context) =>
        service.wait(request, context),
      ),
      SandboxStatus: method(api.SandboxStatusRequest, api.SandboxStatusResponse, (request) => service.status(request)),
      PingSandbox: method(api.PingRequest, api.PingResponse, (request) => service.ping(request)),
      ShutdownSandbox: method(api.ShutdownSandboxRequest, api.ShutdownSandboxResponse, (request) =>
        service.shutdown(request),
      ),
      SandboxMetrics: method(api.SandboxMetricsRequest, api.SandboxMetricsResponse, (request) =>
        service.metrics(request),
      ),
    },
  };
}
