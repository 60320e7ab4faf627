import type { SandboxRef } from '../../shared/identifiers.ts';
import type { Platform, SandboxExit, SandboxMetric } from '../../shared/messages/index.ts';
import type { Context } from '../context.ts';
import type { CallOptions } from '../options.ts';
import { waitOn } from '../wait.ts';
import { type CreateSandboxRequest, createSandbox } from './create.ts';
import type { StartedSandbox } from './sandbox.ts';
import { shutdownSandbox } from './shutdown.ts';
import { startSandbox } from './start.ts';
import { stopSandbox } from './stop.ts';
import { type SandboxView, sandboxMetrics, sandboxPlatform, sandboxStatus } from './views.ts';

/** The sandboxes of the host. Every method rejects with a TaskError. Ids are those of parsed requests. */
export class SandboxController {
  readonly #context: Context;
  readonly #open: <T>(call: () => Promise<T>) => Promise<T>;

  /** `open` runs a call, or refuses it because the daemon stops. */
  constructor(context: Context, open: <T>(call: () => Promise<T>) => Promise<T>) {
    this.#context = context;
    this.#open = open;
  }

  create(ref: SandboxRef, request: CreateSandboxRequest, call: CallOptions = {}): Promise<void> {
    return this.#open(() => createSandbox(this.#context, ref, request, call));
  }

  start(ref: SandboxRef, call: CallOptions = {}): Promise<StartedSandbox> {
    return this.#open(() => startSandbox(this.#context, ref, call));
  }

  /** Its workloads get SIGTERM, and SIGKILL after the timeout, at once where that is 0. */
  stop(ref: SandboxRef, request: { readonly timeoutSeconds: number }, call: CallOptions = {}): Promise<void> {
    return this.#open(() => stopSandbox(this.#context, ref, request, call));
  }

  /** Waits for its end; without a deadline of the caller's, for as long as it takes. */
  wait(ref: SandboxRef, call: CallOptions = {}): Promise<SandboxExit> {
    return this.#open(async () => {
      const { state, waiters } = this.#context.sandboxes.get(ref);
      if (state.kind === 'stopped') return state.exit;
      return waitOn(waiters, `waiting for sandbox ${ref.sandbox}`, call);
    });
  }

  status(ref: SandboxRef, request: { readonly verbose: boolean }, call: CallOptions = {}): Promise<SandboxView> {
    return this.#open(() => sandboxStatus(this.#context, ref, request, call));
  }

  platform(ref: SandboxRef, call: CallOptions = {}): Promise<Platform> {
    return this.#open(() => sandboxPlatform(this.#context, ref, call));
  }

  metrics(ref: SandboxRef, call: CallOptions = {}): Promise<SandboxMetric> {
    return this.#open(() => sandboxMetrics(this.#context, ref, call));
  }

  /** Shims have no such call: it changes nothing that runs. Throws NOT_FOUND. */
  update(ref: SandboxRef): Promise<void> {
    return this.#open(async () => {
      this.#context.sandboxes.get(ref);
    });
  }

  shutdown(ref: SandboxRef, call: CallOptions = {}): Promise<void> {
    return this.#open(() => shutdownSandbox(this.#context, ref, call));
  }
}
