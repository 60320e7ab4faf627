import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { isIdentifier } from '../../src/shared/identifiers.ts';
import { bundleFiles, namespaceDirectory, sandboxesDirectory } from '../../src/shared/layout.ts';
import type { WorkerSlot } from '../slot.ts';
import { readBootstrap } from './bootstrap-file.ts';
import { saveProcess } from './process-file.ts';
import type { Shim } from './shim.ts';

const annotations = ['io.containerd.runc.v2.group', 'io.kubernetes.cri.sandbox-id'];

/**
 * Whether a task's spec may name a group: its start action may have answered a shim that others have too. A name that is
 * found elsewhere in the spec costs a look at the other bundles, and no more.
 */
export function namesGroup(bundle: string): boolean {
  try {
    const spec = readFileSync(path.join(bundle, bundleFiles.config));
    return annotations.some((name) => spec.includes(name));
  } catch {
    return false;
  }
}

/** What a shim's bundle tells as well as its connection does. */
type GroupMember = Pick<Shim, 'ref' | 'grouped' | 'bootstrap' | 'process'>;

async function bundlesIn(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => []);
  return names.filter(isIdentifier).map((name) => path.join(directory, name));
}

/**
 * Bundles of the same namespace, of tasks and sandboxes, whose shim is at the same address, and that are not leaving it. The disk is asked, since
 * they may not be adopted yet.
 */
async function others(slot: WorkerSlot, shim: GroupMember): Promise<string[]> {
  const { namespace } = shim.ref;
  const tasks = namespaceDirectory(slot.settings.directories.state, namespace);
  const sandboxes = path.join(tasks, sandboxesDirectory);
  const leaving = (bundle: string) => slot.leaving.has(`${namespace}/${path.relative(tasks, bundle)}`);
  const candidates = [...(await bundlesIn(tasks)), ...(await bundlesIn(sandboxes))].filter((name) => !leaving(name));
  const found = await Promise.all(
    candidates.map(async (bundle) => {
      const bootstrap = await readBootstrap(bundle).catch(() => undefined);
      return bootstrap?.address === shim.bootstrap.address ? [bundle] : [];
    }),
  );
  return found.flat();
}

/**
 * Leaves a shim that other tasks of its group still need: true where there are such. The one whose bundle it was started
 * for knows its process, and leaves it to another. From then on the task does not count as one that needs the shim, until
 * its id is created again.
 */
export async function leaveGroup(slot: WorkerSlot, shim: GroupMember): Promise<boolean> {
  if (!shim.grouped) return false;
  // Before the look: of two that leave at once, one at least finds nobody else.
  slot.leaving.add(`${shim.ref.namespace}/${shim.ref.shim}`);
  const [heir] = await others(slot, shim);
  if (heir === undefined) return false;
  const { process } = shim;
  if (process !== undefined) {
    await saveProcess(heir, process).catch(() => undefined);
    for (const other of slot.shims.values()) if (other.bundle === heir) other.process = process;
  }
  return true;
}
