import { invalidArgument } from '../../src/shared/errors/index.ts';
import { type Json, listOf, objectOf } from '../../src/shared/json-fields.ts';

/** The little that a worker has to know of an OCI spec. */
export interface SpecFacts {
  /** As written; undefined where the spec names none. */
  readonly cgroupsPath: string | undefined;
  /** Host group that the container's group 0 is mapped to; undefined without a user namespace of its own. */
  readonly mappedGroup: number | undefined;
  /** Path of the root file system, as written; undefined where the spec names none. */
  readonly root: string | undefined;
  /** The init process's arguments. */
  readonly args: readonly string[];
}

function mappedGroupOf(linux: Json): number | undefined {
  const own = listOf(linux['namespaces'])
    .map(objectOf)
    .some((entry) => entry['type'] === 'user' && !entry['path']);
  if (!own) return undefined;
  const root = listOf(linux['gidMappings'])
    .map(objectOf)
    .find((mapping) => mapping['containerID'] === 0);
  const host = root?.['hostID'];
  return typeof host === 'number' && Number.isInteger(host) && host >= 0 && host <= 0xffff_fffe ? host : undefined;
}

/** Throws INVALID_ARGUMENT where the text is no JSON object. */
export function readSpecFacts(spec: Uint8Array): SpecFacts {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(spec).toString('utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw invalidArgument(`the OCI spec is no valid JSON: ${reason}: invalid argument`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidArgument('the OCI spec is no JSON object: invalid argument');
  }
  const root = objectOf(value);
  const linux = objectOf(root['linux']);
  const cgroupsPath = linux['cgroupsPath'];
  const rootPath = objectOf(root['root'])['path'];
  return {
    cgroupsPath: typeof cgroupsPath === 'string' && cgroupsPath !== '' ? cgroupsPath : undefined,
    mappedGroup: mappedGroupOf(linux),
    root: typeof rootPath === 'string' && rootPath !== '' ? rootPath : undefined,
    args: listOf(objectOf(root['process'])['args']).filter((arg) => typeof arg === 'string'),
  };
}
