import path from 'node:path';
import type { BinaryFacts, PlacementMode, Stdio } from '../shared/messages/index.ts';
import type { PlacementSetting } from './placement-config.ts';
import type { SpecFacts } from './spec-facts.ts';

/** What of a task decides whether it can live beside others in one shim. */
export interface SharingRequest {
  readonly facts: SpecFacts;
  readonly stdio: Stdio;
  /** It starts from a checkpoint. */
  readonly restore: boolean;
}

type Version = readonly [number, number, number];

function versionOf(binary: BinaryFacts): Version | undefined {
  const [major, minor, patch] = (binary.version ?? '').split('.').map(Number);
  return major === undefined || minor === undefined || patch === undefined || Number.isNaN(major + minor + patch)
    ? undefined
    : [major, minor, patch];
}

function atLeast(version: Version, [major, minor, patch]: Version): boolean {
  if (version[0] !== major) return version[0] > major;
  return version[1] === minor ? version[2] >= patch : version[1] > minor;
}

/** Whether a runc shim can have many tasks: 1.6 mixes up their exits when a pid comes again. */
const sharesSince: Version = [1, 7, 0];
/** From here on a slow Create holds up no other task of the shim. */
const createsApartSince: Version = [2, 3, 2];

/** Pure: which placement a task gets. */
export function sharingOf(request: SharingRequest, binary: BinaryFacts, setting: PlacementSetting): PlacementMode {
  if (setting === 'per-task' || request.facts.group !== undefined) return 'per-task';
  const name = path.basename(binary.binary);
  if (isEmbedded(binary.binary)) return 'shared';
  const version = versionOf(binary);
  if (name !== 'containerd-shim-runc-v2') return setting === 'shared' && isPlain(request) ? 'shared' : 'per-task';
  if (version === undefined) return setting === 'shared' && isPlain(request) ? 'shared' : 'per-task';
  if (!atLeast(version, sharesSince)) return 'per-task';
  return isPlain(request) || (atLeast(version, createsApartSince) && !stallsExits(request)) ? 'shared' : 'per-task';
}

/** True for the runtime that comes with the package. */
export function isEmbedded(binary: string): boolean {
  return path.basename(binary) === 'containerd-shim-process-v1' || binary.endsWith('/process-shim/main.js');
}

/** Its kill-all or its restore runs in the shim's one exit loop. */
function stallsExits(request: SharingRequest): boolean {
  return !request.facts.ownsPidNamespace || request.restore;
}

/** Neither its Create nor its end can hold up the other tasks of its shim. */
function isPlain(request: SharingRequest): boolean {
  const { stdin, stdout, stderr } = request.stdio;
  const logger = [stdin, stdout, stderr].some((target) => target.startsWith('binary:'));
  return !request.facts.hooks && !logger && !stallsExits(request);
}
