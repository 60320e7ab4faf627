import { invalidArgument } from '../shared/errors/index.ts';

/** What placement and the order of exits have to know of an OCI spec. */
export interface SpecFacts {
  /** It names programs that run around create, start or delete. */
  readonly hooks: boolean;
  /** Its init is pid 1 of a namespace of its own, so that every exec ends with it. */
  readonly ownsPidNamespace: boolean;
  /** Tasks of one group share a shim by the shim's own choice: runc's group annotation, or the pod's sandbox. */
  readonly group: string | undefined;
  /** A mount of it has its owners mapped, which runtimes that cannot do that ignore. */
  readonly idMappedMounts: boolean;
}

/** Of a task whose spec cannot be read any more. */
export const unknownSpec: SpecFacts = {
  hooks: false,
  ownsPidNamespace: false,
  group: undefined,
  idMappedMounts: false,
};

const groupAnnotations = ['io.containerd.runc.v2.group', 'io.kubernetes.cri.sandbox-id'];

type Json = Readonly<Record<string, unknown>>;

const objectOf = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value)) : {};
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** Specs are some 16 kB and asked about more than once while a task is created: parsed once for the same bytes. */
const known = new WeakMap<Uint8Array, SpecFacts>();

/** Throws INVALID_ARGUMENT where the bytes are no JSON object. */
export function specFacts(spec: Uint8Array): SpecFacts {
  const found = known.get(spec);
  if (found !== undefined) return found;
  const facts = read(spec);
  known.set(spec, facts);
  return facts;
}

function read(spec: Uint8Array): SpecFacts {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(spec.buffer, spec.byteOffset, spec.byteLength).toString('utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw invalidArgument(`the OCI spec is no valid JSON: ${reason}: invalid argument`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidArgument('the OCI spec is no JSON object: invalid argument');
  }
  const root = objectOf(value);
  const annotations = objectOf(root['annotations']);
  const group = groupAnnotations
    .map((name) => annotations[name])
    .find((text) => typeof text === 'string' && text !== '');
  return {
    hooks: Object.values(objectOf(root['hooks'])).some((hooks) => listOf(hooks).length > 0),
    ownsPidNamespace: listOf(objectOf(root['linux'])['namespaces'])
      .map(objectOf)
      .some((entry) => entry['type'] === 'pid' && !entry['path']),
    group: typeof group === 'string' ? group : undefined,
    idMappedMounts: listOf(root['mounts'])
      .map(objectOf)
      .some((mount) => listOf(mount['uidMappings']).length > 0 || listOf(mount['gidMappings']).length > 0),
  };
}
