import { failedPrecondition, notFound } from '../../shared/errors/index.ts';
import { parseShimId, type TaskRef } from '../../shared/identifiers.ts';
import type { CallOptions, CreateRequest, SandboxMembership } from '../options.ts';
import type { Placed } from '../placement.ts';
import type { Registry } from '../registry.ts';
import type { Shim } from '../shim.ts';
import type { TaskSlot } from '../task-slot.ts';
import type { Sandbox } from './sandbox.ts';
import type { Sandboxes } from './sandboxes.ts';

interface Host {
  readonly registry: Registry;
  readonly sandboxes: Sandboxes;
  /** The slot for a connection to a shim that somebody else runs. */
  readonly chooseSlot: () => TaskSlot;
}

/**
 * Where a task of a sandbox goes: to the sandbox's shim, or to the one at the address that came with the task. Undefined
 * where it belongs to none, or to one that is only a name: then it is a group, and its specs' annotations say so.
 * Throws NOT_FOUND for a stored sandbox that runs nowhere, FAILED_PRECONDITION for one that is ending.
 */
export async function placeInSandbox(
  host: Host,
  ref: TaskRef,
  request: CreateRequest,
  call: CallOptions & { readonly deadline: number; readonly binary: string },
): Promise<Placed | undefined> {
  const { sandbox: wanted } = request;
  if (wanted === undefined) return undefined;
  const sandbox = host.sandboxes.find({ namespace: ref.namespace, sandbox: wanted.id });
  if (sandbox !== undefined) return placeIn(sandbox, call);
  if (wanted.at !== undefined) return join(host, ref, wanted.at, call.binary);
  if (!wanted.isKnown) return undefined;
  throw notFound(`can't find shim for sandbox ${wanted.id}: not found`);
}

async function placeIn(sandbox: Sandbox, call: CallOptions & { readonly deadline: number }): Promise<Placed> {
  const shim = shimForTasks(sandbox);
  const doing = `waiting for the shim of sandbox ${sandbox.ref.sandbox}`;
  await shim.usable({ deadline: call.deadline, doing, signal: call.signal });
  // It may have ended meanwhile.
  shimForTasks(sandbox);
  const { slot, binary, id } = shim;
  return { slot, binary, choice: { kind: 'running', shim: id }, shim, release: () => undefined };
}

function shimForTasks({ ref, shim, state, ending }: Sandbox): Shim {
  if (shim !== undefined && !ending && state.kind !== 'ending' && state.kind !== 'stopped') return shim;
  const how = state.kind === 'stopped' ? 'has ended' : 'is being ended';
  throw failedPrecondition(`sandbox ${ref.sandbox} ${how} and takes no more tasks: failed precondition`);
}

function join(host: Host, ref: TaskRef, at: NonNullable<SandboxMembership['at']>, binary: string): Placed {
  const known = host.registry
    .shims()
    .find(
      ({ mode, info }) => mode !== 'joined' && info !== undefined && socketOf(info.address) === socketOf(at.address),
    );
  // Its tasks are counted, and it is ended when it has none.
  if (known !== undefined) {
    throw failedPrecondition(
      `the shim at ${at.address} is this daemon's own, ${known.id}: create the task without its address: failed precondition`,
    );
  }
  const choice = { kind: 'joined', shim: parseShimId(ref.task), at, binary } as const;
  return { slot: host.chooseSlot(), binary, choice, shim: undefined, release: () => undefined };
}

const socketOf = (address: string): string => address.replace(/^unix:\/\//, '');
