import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import {
  isIdentifier,
  type Namespace,
  parseSandboxId,
  parseShimId,
  type SandboxRef,
} from '../../shared/identifiers.ts';
import { bundleFiles, sandboxBundle, sandboxesDirectory } from '../../shared/layout.ts';
import { parseSandboxRecord, type SandboxRecord } from '../../shared/sandbox-record.ts';
import { deadlineIn } from '../../shared/util/deadline.ts';
import { unreachable } from '../../shared/util/unreachable.ts';
import type { Context } from '../context.ts';
import { Shim } from '../shim.ts';
import type { TaskSlot } from '../task-slot.ts';
import { Sandbox, type SandboxState } from './sandbox.ts';

/** The sandboxes that a namespace's bundles tell of, with their shims, to be adopted. `guard` takes what goes wrong with one. */
export async function findSandboxes(
  context: Context,
  namespace: Namespace,
  options: {
    readonly chooseSlot: (group: string) => TaskSlot;
    readonly guard: (ids: Readonly<Record<string, string>>, work: () => Promise<void>) => Promise<void>;
  },
): Promise<void> {
  const { chooseSlot, guard } = options;
  const directory = path.join(context.directories.state, namespace, sandboxesDirectory);
  const names = await readdir(directory).catch(() => []);
  await Promise.all(
    names.filter(isIdentifier).map((name) =>
      guard({ namespace, sandbox: name }, async () => {
        const ref: SandboxRef = { namespace, sandbox: parseSandboxId(name) };
        const slot = chooseSlot(`${namespace}/${name}`);
        const bundle = sandboxBundle(context.directories, namespace, ref.sandbox);
        const text = await readFile(path.join(bundle, bundleFiles.sandbox), 'utf8').catch(() => '');
        const record = parseSandboxRecord(text);
        if (record === undefined || record.phase === 'creating') await removeHalfMade(context, ref, bundle, slot);
        else addSandbox(context, ref, bundle, slot, record);
      }),
    ),
  );
}

/** Nobody was told of it: the worker ends and removes what there is. */
async function removeHalfMade(context: Context, ref: SandboxRef, bundle: string, slot: TaskSlot): Promise<void> {
  const { deadlines, logger } = context;
  const budget = () => deadlineIn(deadlines.load + 3 * deadlines.shutdown + 2 * deadlines.cleanup);
  const shim = parseShimId(ref.sandbox);
  const { namespace } = ref;
  // So that a shim that answers is asked to end, and not killed.
  const adopt = {
    kind: 'adopt-shim',
    deadline: budget(),
    namespace,
    shim,
    mode: 'sandbox',
    bundle,
    tasks: [],
  } as const;
  await slot.run(adopt);
  await slot.run({ kind: 'shutdown-sandbox', deadline: budget(), ...ref });
  logger.info('half-made sandbox removed', { ...ref });
}

function addSandbox(context: Context, ref: SandboxRef, bundle: string, slot: TaskSlot, record: SandboxRecord): void {
  const { logger, registry, sandboxes, sandboxExits } = context;
  const shim = new Shim({
    namespace: ref.namespace,
    id: parseShimId(ref.sandbox),
    mode: 'sandbox',
    binary: record.binary,
    bundle,
    slot,
    state: { kind: 'adopting' },
    logger,
  });
  registry.addShim(shim);
  const exit = sandboxExits.get(ref);
  const state: SandboxState = exit === undefined ? stateOf(record) : { kind: 'stopped', exit };
  const sandbox = new Sandbox({ ref, runtime: record.runtime, shim, state, logger });
  sandbox.pid = record.pid;
  sandbox.createdAt = record.createdAt;
  sandboxes.reserve(ref).commit(sandbox);
}

function stateOf({ phase }: SandboxRecord): SandboxState {
  switch (phase) {
    case 'creating':
    case 'created':
      return { kind: 'created' };
    case 'starting':
      return { kind: 'starting' };
    case 'started':
      return { kind: 'running' };
    default:
      return unreachable(phase);
  }
}

/** Sandboxes that ended and that nobody shut down, and whose bundles are gone, with their shim or with a reboot. */
export function rememberEndedSandboxes({ sandboxes, sandboxExits, logger }: Context): void {
  for (const { sandbox: ref, exit } of sandboxExits.list()) {
    if (sandboxes.has(ref)) continue;
    const state: SandboxState = { kind: 'stopped', exit };
    sandboxes.reserve(ref).commit(new Sandbox({ ref, runtime: '', shim: undefined, state, logger }));
  }
}
