import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { hasCode, TaskError } from '../../shared/errors/index.ts';
import { sandboxControllerDefinition as controller, sandboxStoreDefinition as store } from '../../shared/grpc/index.ts';
import type { Namespace } from '../../shared/identifiers.ts';
import { typeUrls, wireAny } from '../../shared/wire/any.ts';
import { millisecondsOf, plainTimestamp } from '../../shared/wire/timestamp.ts';
import type { Daemon } from '../client/daemon.ts';

/** The daemon's only controller of sandboxes. */
const sandboxer = 'shim';
/** A create starts a shim (30 s) before it creates (60 s); a shutdown of a shim that hangs takes its deadlines. */
const longTimeout = 120_000;

export interface SandboxLine {
  readonly id: string;
  /** 0 where it has no process of its own. */
  readonly pid: number;
  readonly state: string;
  readonly runtime: string;
  readonly createdAt: string;
}

/** Stores the sandbox, then creates it. Where that fails, nothing is left of it. */
export async function createSandbox(
  daemon: Daemon,
  namespace: Namespace,
  wanted: { readonly id: string; readonly runtime: string; readonly bundle: string | undefined },
): Promise<void> {
  const { id: sandboxId, runtime, bundle } = wanted;
  const value = bundle === undefined ? undefined : await readFile(path.join(bundle, 'config.json'));
  const spec = value && wireAny({ typeUrl: typeUrls.spec, value });
  const sandbox = { sandboxId, sandboxer, runtime: { name: runtime }, ...(spec ? { spec } : {}) };
  await daemon.call(store.create, namespace, { sandbox });
  try {
    await daemon.call(controller.create, namespace, { sandboxId, sandboxer, sandbox }, { timeout: longTimeout });
  } catch (error) {
    await daemon.call(store.delete, namespace, { sandboxId }).catch(() => undefined);
    throw error;
  }
}

/** One whose start fails is gone; its metadata is removed then. */
export async function startSandbox(
  daemon: Daemon,
  namespace: Namespace,
  sandboxId: string,
): Promise<{ readonly pid: number; readonly address: string }> {
  const { pid, address } = await daemon.call(controller.start, namespace, { sandboxId, sandboxer });
  return { pid, address };
}

export async function stopSandbox(
  daemon: Daemon,
  namespace: Namespace,
  sandboxId: string,
  timeoutSecs: number,
): Promise<void> {
  await daemon.call(store.get, namespace, { sandboxId });
  const timeout = longTimeout + timeoutSecs * 1000;
  await daemon.call(controller.stop, namespace, { sandboxId, sandboxer, timeoutSecs }, { timeout });
}

/** Shuts it down and removes its metadata; one that runs is refused unless it is forced. */
export async function removeSandbox(
  daemon: Daemon,
  namespace: Namespace,
  sandboxId: string,
  force: boolean,
): Promise<void> {
  const { state } = await daemon.call(controller.status, namespace, { sandboxId, sandboxer });
  if (!force && state === 'SANDBOX_READY') {
    throw new TaskError(
      'FAILED_PRECONDITION',
      `cannot remove ${sandboxId}: it runs; end it with 'shimd sandbox stop ${sandboxId}', or remove it with 'shimd sandbox rm -f ${sandboxId}'`,
    );
  }
  const ran = await found(
    daemon.call(controller.shutdown, namespace, { sandboxId, sandboxer }, { timeout: longTimeout }),
  );
  const stored = await found(daemon.call(store.delete, namespace, { sandboxId }));
  if (!ran && !stored && !force) {
    throw new TaskError('NOT_FOUND', `sandbox "${sandboxId}" in namespace "${namespace}": not found`);
  }
}

/** Those with these ids, all where there are none, in the order of their ids. */
export async function listSandboxes(
  daemon: Daemon,
  namespace: Namespace,
  ids: readonly string[],
): Promise<SandboxLine[]> {
  const { list } = await daemon.call(store.list, namespace, { filters: ids.map((id) => `id==${JSON.stringify(id)}`) });
  return Promise.all(
    list.map(async ({ sandboxId, runtime, createdAt }) => {
      const id = sandboxId ?? '';
      const status = await daemon.call(controller.status, namespace, { sandboxId: id, sandboxer });
      const created = plainTimestamp(createdAt);
      return {
        id,
        pid: status.pid,
        state: status.state,
        runtime: runtime?.name ?? '',
        createdAt: created === undefined ? '' : new Date(millisecondsOf(created)).toISOString(),
      };
    }),
  );
}

/** Resolves with false where there is no such thing. */
async function found(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return false;
    throw error;
  }
}
