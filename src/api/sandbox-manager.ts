import type { SandboxRef } from '../shared/identifiers.ts';
import type { Mount } from '../shared/messages/process.ts';
import type {
  Platform,
  SandboxExit,
  SandboxMetric,
  SandboxStatus,
  StartSandboxReply,
} from '../shared/messages/sandbox.ts';
import type { Any } from '../shared/wire/any.ts';
import type { CallLimits } from './task-manager.ts';

export interface SandboxCreation {
  /** A runtime's name, or the absolute path of a shim. */
  readonly runtime: string;
  readonly runtimeOptions?: Any;
  /** The OCI spec, JSON; absent where there is none. */
  readonly spec?: Uint8Array;
  readonly rootfs: readonly Mount[];
  readonly options?: Any;
  readonly netnsPath: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Where a client finds a sandbox's shim. */
interface Endpoint {
  /** `ttrpc+unix:///…`; empty where the shim is gone. */
  readonly address: string;
  readonly apiVersion: number;
}

/** What the API needs of whoever runs sandboxes. Every method rejects with a TaskError. */
export interface SandboxManager {
  create(sandbox: SandboxRef, request: SandboxCreation, call?: CallLimits): Promise<void>;
  start(sandbox: SandboxRef, call?: CallLimits): Promise<StartSandboxReply & Endpoint>;
  stop(sandbox: SandboxRef, request: { readonly timeoutSeconds: number }, call?: CallLimits): Promise<void>;
  wait(sandbox: SandboxRef, call?: CallLimits): Promise<SandboxExit>;
  status(
    sandbox: SandboxRef,
    request: { readonly verbose: boolean },
    call?: CallLimits,
  ): Promise<SandboxStatus & Endpoint>;
  platform(sandbox: SandboxRef, call?: CallLimits): Promise<Platform>;
  metrics(sandbox: SandboxRef, call?: CallLimits): Promise<SandboxMetric>;
  update(sandbox: SandboxRef): Promise<void>;
  shutdown(sandbox: SandboxRef, call?: CallLimits): Promise<void>;
}
