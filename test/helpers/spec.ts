import { type Any, typeUrls, wireAny } from '../../src/shared/wire/any.ts';
import { busyboxRootfs } from './runtimes.ts';
import { cgroupParent } from './test-run.ts';

export interface SpecOptions {
  /** Of the container; names its cgroup below the run's. */
  readonly id: string;
  readonly args: readonly string[];
  readonly env?: readonly string[];
  readonly cwd?: string;
  readonly terminal?: boolean;
  readonly user?: { readonly uid: number; readonly gid: number };
  readonly rootfs?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Added to, or put over, what is made here. */
  readonly more?: Readonly<Record<string, unknown>>;
}

const capabilities = ['CAP_KILL', 'CAP_SETUID', 'CAP_SETGID', 'CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_SYS_CHROOT'];

/** The `process` of a spec, also what an exec takes. */
export function processSpec(options: Omit<SpecOptions, 'id'>): object {
  return {
    terminal: options.terminal ?? false,
    user: options.user ?? { uid: 0, gid: 0 },
    args: options.args,
    env: ['PATH=/bin', ...(options.env ?? [])],
    cwd: options.cwd ?? '/',
    capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    noNewPrivileges: true,
  };
}

/** An OCI spec of a busybox container: own pid, ipc, uts and mount namespaces, read-only root. */
export function busyboxSpec(options: SpecOptions): object {
  return {
    ociVersion: '1.0.2',
    process: processSpec(options),
    root: { path: options.rootfs ?? busyboxRootfs, readonly: true },
    hostname: 'busybox',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
      },
      { destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', 'mode=1777'] },
    ],
    linux: {
      cgroupsPath: `${cgroupParent}/${options.id}`,
      namespaces: [{ type: 'pid' }, { type: 'ipc' }, { type: 'uts' }, { type: 'mount' }],
    },
    ...(options.annotations ? { annotations: options.annotations } : {}),
    ...options.more,
  };
}

/** An `Any` as the generated code encodes it. */
export interface WireAny {
  readonly type_url: string;
  readonly value: Uint8Array;
}

/** A JSON value in an `Any`, as containerd's clients send specs. */
export function jsonAny(typeUrl: string, value: object): Any {
  return { typeUrl, value: Buffer.from(JSON.stringify(value)) };
}

export function specAny(options: SpecOptions): WireAny {
  return wireAny(jsonAny(typeUrls.spec, busyboxSpec(options)));
}
