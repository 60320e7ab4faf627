import { existsSync } from 'node:fs';
import {
  cgroupsPathOf,
  defaultSpec,
  type Limits,
  mergeEnvironment,
  type Network,
  resourcesOf,
} from '../../shared/oci/default-spec.ts';
import type { ConsoleSize, Spec } from '../../shared/oci/spec.ts';
import { UsageError } from '../failure.ts';
import { readBundleSpec, resolveRootfs } from './bundle-spec.ts';
import { hostSpec, isHostRuntime } from './host-spec.ts';
import { resolveUser } from './user.ts';

/** What the user asked for of a new container. */
export interface RunRequest {
  readonly id: string;
  readonly namespace: string;
  readonly runtime: string;
  readonly source: { readonly kind: 'rootfs' | 'bundle'; readonly directory: string };
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string | undefined;
  readonly user: string | undefined;
  /** Undefined: as a bundle says, where there is a terminal to give. */
  readonly terminal: boolean | undefined;
  readonly terminalPossible: boolean;
  /** Of our own terminal, for the container's. */
  readonly consoleSize: ConsoleSize | undefined;
  readonly network: Network | undefined;
  readonly readonlyRootfs: boolean;
  readonly limits: Limits;
}

const resolverFiles = ['/etc/hosts', '/etc/resolv.conf'];

/** The OCI spec for a request. Throws an error that says what is wrong with the request, the root file system or the bundle. */
export function specFor(request: RunRequest): Promise<Spec> {
  return request.source.kind === 'rootfs' ? fromRootfs(request) : fromBundle(request);
}

async function fromRootfs(request: RunRequest): Promise<Spec> {
  if (request.args.length === 0) throw new UsageError('no command given; name it after --, e.g. -- /bin/sh');
  const rootfs = await resolveRootfs(request.source.directory);
  if (isHostRuntime(request.runtime)) return onHost(request, rootfs);
  const network = request.network ?? 'none';
  return defaultSpec({
    id: request.id,
    namespace: request.namespace,
    rootfs,
    readonlyRootfs: request.readonlyRootfs,
    args: request.args,
    env: request.env,
    cwd: request.cwd ?? '/',
    user: request.user === undefined ? { uid: 0, gid: 0 } : await resolveUser(request.user, rootfs),
    terminal: request.terminal ?? false,
    consoleSize: request.consoleSize,
    network,
    limits: request.limits,
    hostFiles: network === 'host' ? resolverFiles.filter((file) => existsSync(file)) : [],
  });
}

async function onHost(request: RunRequest, rootfs: string): Promise<Spec> {
  const { network, readonlyRootfs, limits } = request;
  const isolation = { '--net': network, '--read-only': readonlyRootfs || undefined, '--memory': limits.memory };
  const asked = Object.entries({ ...isolation, '--cpus': limits.cpus, '--pids': limits.pids }).find(
    ([, value]) => value,
  );
  if (asked) throw new UsageError(`${asked[0]}: ${request.runtime} runs processes on the host and isolates nothing`);
  if (rootfs !== '/') {
    throw new UsageError(`${request.runtime} runs processes on the host itself: leave --rootfs out, or make it /`);
  }
  return hostSpec({
    args: request.args,
    env: request.env,
    cwd: request.cwd ?? '/',
    user: request.user === undefined ? undefined : await resolveUser(request.user, rootfs),
    terminal: request.terminal ?? false,
    consoleSize: request.consoleSize,
  });
}

/** A bundle's own spec, with what the command line says put over it. */
async function fromBundle(request: RunRequest): Promise<Spec> {
  const spec = await readBundleSpec(request.source.directory);
  const { process, linux = {} } = spec;
  const args = request.args.length > 0 ? [...request.args] : process.args;
  if (args.length === 0) throw new UsageError("neither the bundle's process.args nor the command line names a command");
  if (request.network !== undefined)
    throw new UsageError("--net goes with --rootfs; a bundle's config.json says its own");
  const readonlyRoot = request.readonlyRootfs ? { ...spec.root, readonly: true } : spec.root;
  const { consoleSize: _, ...ownProcess } = process;
  const terminal = request.terminal ?? (process.terminal === true && request.terminalPossible);
  return {
    ...spec,
    root: readonlyRoot,
    process: {
      ...ownProcess,
      args,
      env: mergeEnvironment(process.env ?? [], request.env),
      cwd: request.cwd ?? process.cwd,
      ...(request.user === undefined ? {} : { user: await resolveUser(request.user, spec.root.path) }),
      terminal,
      ...(terminal && request.consoleSize ? { consoleSize: request.consoleSize } : {}),
    },
    linux: {
      ...linux,
      cgroupsPath: linux.cgroupsPath ?? cgroupsPathOf(request.namespace, request.id),
      resources: { ...linux.resources, ...resourcesOf(request.limits) },
    },
  };
}
