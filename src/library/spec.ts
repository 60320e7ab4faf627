import { readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import { invalidArgument, TaskError } from '../shared/errors/index.ts';
import { type Json, objectOf } from '../shared/json-fields.ts';
import { bundleFiles } from '../shared/layout.ts';
import { defaultSpec, mergeEnvironment, resourcesOf } from '../shared/oci/default-spec.ts';
import type { CreateOptions, ExecOptions } from './options.ts';

const runtimeNames: Readonly<Record<string, string>> = {
  process: 'io.shimd.process.v1',
  runc: 'io.containerd.runc.v2',
};

export function runtimeOf({ runtime, rootfs, bundle, spec }: CreateOptions): string {
  const isContainer = rootfs !== undefined || bundle !== undefined || spec !== undefined;
  const name = runtime ?? (isContainer ? 'runc' : 'process');
  return Object.hasOwn(runtimeNames, name) ? (runtimeNames[name] ?? name) : name;
}

/** The OCI spec of what is to be created. Throws INVALID_ARGUMENT for options that do not go together. */
export async function specOf(options: CreateOptions, namespace: string): Promise<Json> {
  const spec = await baseSpec(options, namespace);
  if (options.annotations === undefined) return spec;
  return { ...spec, annotations: { ...objectOf(spec['annotations']), ...options.annotations } };
}

async function baseSpec(options: CreateOptions, namespace: string): Promise<Json> {
  const { id, rootfs, bundle, spec } = options;
  if ([rootfs, bundle, spec].filter((source) => source !== undefined).length > 1) {
    throw invalidArgument(`create ${id}: give one of rootfs, bundle and spec, not several: invalid argument`);
  }
  if (spec !== undefined) {
    refuse(options, 'spec', ['args', 'env', 'cwd', 'user', ...ofRootfs]);
    return { ...spec };
  }
  if (bundle !== undefined) {
    refuse(options, 'bundle', ofRootfs);
    return specOfBundle(path.resolve(bundle), options);
  }
  if (options.args === undefined || options.args.length === 0) {
    throw invalidArgument(`create ${id}: nothing to run: give args, bundle or spec: invalid argument`);
  }
  return rootfs === undefined ? specOnHost(options) : specInContainer(await realRootfs(rootfs), options, namespace);
}

const ofRootfs = ['readonlyRootfs', 'network', 'mounts', 'limits'] as const;

function refuse(options: CreateOptions, source: string, names: readonly (keyof CreateOptions)[]): void {
  const given = names.filter((name) => options[name] !== undefined);
  if (given.length === 0) return;
  throw invalidArgument(
    `create ${options.id}: ${given.join(', ')} cannot go with ${source}: say it in the spec itself: invalid argument`,
  );
}

/** What the embedded runtime takes; it refuses what is left of a container's options, in its own words. */
function specOnHost({ args = [], env, cwd, user, limits, mounts = [], readonlyRootfs, network }: CreateOptions): Json {
  if (network === 'none') {
    throw invalidArgument('network "none" needs a container: give a rootfs: invalid argument');
  }
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      args,
      env: mergeEnvironment(hostEnvironment(), environmentOf(env)),
      cwd: cwd ?? process.cwd(),
      ...(user === undefined ? {} : { user }),
    },
    root: { path: '/', ...(readonlyRootfs === undefined ? {} : { readonly: readonlyRootfs }) },
    ...(mounts.length === 0 ? {} : { mounts }),
    ...(limits === undefined ? {} : { linux: { resources: resourcesOf(limits) } }),
  };
}

function hostEnvironment(): string[] {
  return [`PATH=${process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin'}`];
}

/** runc takes no path with a link in it. */
async function realRootfs(rootfs: string): Promise<string> {
  try {
    return await realpath(rootfs);
  } catch (error) {
    throw TaskError.from(error, `cannot use the root file system ${rootfs}`);
  }
}

function specInContainer(rootfs: string, options: CreateOptions, namespace: string): Json {
  const { id, args = [], env, cwd = '/', user, limits = {}, mounts = [], readonlyRootfs = false } = options;
  const spec = defaultSpec({
    id,
    namespace,
    rootfs,
    readonlyRootfs,
    args,
    env: environmentOf(env),
    cwd,
    user: user === undefined ? { uid: 0, gid: 0 } : plainUser(user),
    terminal: options.stdio?.terminal ?? false,
    network: options.network ?? 'none',
    limits,
    hostFiles: [],
  });
  return { ...spec, mounts: [...(spec.mounts ?? []), ...mounts] };
}

async function specOfBundle(bundle: string, options: CreateOptions): Promise<Json> {
  const spec = await readSpec(path.join(bundle, bundleFiles.config));
  const root = objectOf(spec['root']);
  const absolute = typeof root['path'] === 'string' ? path.resolve(bundle, root['path']) : path.join(bundle, 'rootfs');
  return { ...spec, root: { ...root, path: absolute }, process: changedProcess(objectOf(spec['process']), options) };
}

/** The process of an exec: the task's own, out of the spec in its bundle, with what `options` say put over it. */
export async function execSpecOf(bundle: string, options: ExecOptions): Promise<Json> {
  const { args, spec } = options;
  if (spec !== undefined) {
    const given = (['args', 'env', 'cwd', 'user'] as const).filter((name) => options[name] !== undefined);
    if (given.length === 0) return { ...spec };
    throw invalidArgument(`exec: ${given.join(', ')} cannot go with spec: say it in the spec itself: invalid argument`);
  }
  if (args === undefined || args.length === 0) {
    throw invalidArgument('exec: nothing to run: give args or spec: invalid argument');
  }
  const init = objectOf((await readSpec(path.join(bundle, bundleFiles.config)))['process']);
  const { consoleSize: _, ...process } = init;
  return changedProcess({ ...process, terminal: options.stdio?.terminal ?? false }, options);
}

function changedProcess(process: Json, { args, env, cwd, user }: Pick<CreateOptions, 'args' | 'env' | 'cwd' | 'user'>) {
  return {
    ...process,
    ...(args === undefined ? {} : { args }),
    ...(env === undefined ? {} : { env: mergeEnvironment(stringsOf(process['env']), environmentOf(env)) }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(user === undefined ? {} : { user }),
  };
}

async function readSpec(file: string): Promise<Json> {
  try {
    const spec: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (typeof spec !== 'object' || spec === null || Array.isArray(spec)) throw new Error('it is no JSON object');
    return objectOf(spec);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TaskError('INVALID_ARGUMENT', `cannot read the OCI spec ${file}: ${reason}: invalid argument`, {
      cause: error,
    });
  }
}

function plainUser({ uid, gid, additionalGids }: NonNullable<CreateOptions['user']>) {
  return { uid, gid, ...(additionalGids === undefined ? {} : { additionalGids: [...additionalGids] }) };
}

function environmentOf(env: CreateOptions['env'] = {}): string[] {
  return Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
}

const stringsOf = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((entry): entry is string => typeof entry === 'string') : [];
