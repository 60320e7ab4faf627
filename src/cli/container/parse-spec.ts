import type { Process, Spec, User } from '../../shared/oci/spec.ts';

type Fields = Record<string, unknown>;

/**
 * Reads an OCI runtime spec. Only what the CLI itself relies on is checked, the runtime checks the rest.
 * Throws an error that names `origin` and the field.
 */
export function parseSpec(text: string, origin: string): Spec {
  const spec = objectAt(parseJson(text, origin), origin);
  const root = objectAt(spec['root'], `${origin}: root`);
  const mounts = spec['mounts'] ?? [];
  return {
    ...spec,
    ociVersion: stringAt(spec['ociVersion'], `${origin}: ociVersion`),
    process: parseProcess(spec['process'], `${origin}: process`),
    root: { ...root, path: stringAt(root['path'], `${origin}: root.path`) },
    mounts: arrayAt(mounts, `${origin}: mounts`).map((entry, index) => {
      const mount = objectAt(entry, `${origin}: mounts[${index}]`);
      return { ...mount, destination: stringAt(mount['destination'], `${origin}: mounts[${index}].destination`) };
    }),
    linux: objectAt(spec['linux'] ?? {}, `${origin}: linux`),
  };
}

function parseProcess(value: unknown, where: string): Process {
  const process = objectAt(value, where);
  return {
    ...process,
    terminal: process['terminal'] === true,
    args: stringsAt(process['args'] ?? [], `${where}.args`),
    env: stringsAt(process['env'] ?? [], `${where}.env`),
    cwd: stringAt(process['cwd'] ?? '/', `${where}.cwd`),
    ...(process['user'] === undefined ? {} : { user: parseUser(process['user'], `${where}.user`) }),
  };
}

function parseUser(value: unknown, where: string): User {
  const user = objectAt(value, where);
  return { ...user, uid: numberAt(user['uid'] ?? 0, `${where}.uid`), gid: numberAt(user['gid'] ?? 0, `${where}.gid`) };
}

function parseJson(text: string, origin: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${origin} is not JSON: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

function objectAt(value: unknown, where: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw wrong(where, 'an object', value);
}

function arrayAt(value: unknown, where: string): unknown[] {
  if (Array.isArray(value)) return value;
  throw wrong(where, 'an array', value);
}

function stringsAt(value: unknown, where: string): string[] {
  return arrayAt(value, where).map((entry, index) => stringAt(entry, `${where}[${index}]`));
}

function stringAt(value: unknown, where: string): string {
  if (typeof value === 'string') return value;
  throw wrong(where, 'a string', value);
}

function numberAt(value: unknown, where: string): number {
  if (typeof value === 'number') return value;
  throw wrong(where, 'a number', value);
}

function wrong(where: string, expected: string, value: unknown): Error {
  return new Error(value === undefined ? `${where} is missing` : `${where} has to be ${expected}`);
}
