import type { ConsoleSize, Mount, Spec, User } from './spec.ts';

/** `none`: a network of its own with nothing in it but `lo`, down. `host`: the host's. */
export type Network = 'none' | 'host';

/** Limits of the container's cgroup. */
export interface Limits {
  /** Bytes. */
  readonly memory?: number | undefined;
  /** CPUs, e.g. 1.5. */
  readonly cpus?: number | undefined;
  /** Processes and threads. */
  readonly pids?: number | undefined;
}

export interface SpecParameters {
  readonly id: string;
  readonly namespace: string;
  /** Absolute path of the root file system. */
  readonly rootfs: string;
  readonly readonlyRootfs: boolean;
  readonly args: readonly string[];
  /** `NAME=value`; what is not named here comes from the defaults. */
  readonly env: readonly string[];
  /** Absolute path inside the container. */
  readonly cwd: string;
  readonly user: User;
  readonly terminal: boolean;
  /** Of the terminal. */
  readonly consoleSize?: ConsoleSize | undefined;
  readonly network: Network;
  readonly limits: Limits;
  /** Files of the host to bind read-only at the same path: with the host's network, what name resolution needs. */
  readonly hostFiles: readonly string[];
}

/** What an ordinary program of a container may need as root; containerd and Docker grant the same. */
export const defaultCapabilities: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];

/** Where the kernel tells, or lets change, what is not the container's. */
const maskedPaths = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];

const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

const mounts: readonly Mount[] = [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  },
  {
    destination: '/dev/shm',
    type: 'tmpfs',
    source: 'shm',
    options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
  },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
  {
    destination: '/run',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
];

export const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const cpuPeriod = 100_000;

/** The longest host name that the kernel takes. */
const maxHostname = 64;

/**
 * The OCI spec of a container made from a root file system: namespaces of its own, the usual capabilities and no more,
 * kernel files masked, no way to gain privileges, no device but the harmless ones. Asks for neither AppArmor nor
 * seccomp, which not every host has. Version 1.0.2, which every runtime reads.
 */
export function defaultSpec(parameters: SpecParameters): Spec {
  const { id, namespace, terminal, limits } = parameters;
  const env = [defaultPath, ...(terminal ? ['TERM=xterm'] : [])];
  const namespaces = ['pid', 'ipc', 'uts', 'mount', ...(parameters.network === 'none' ? ['network'] : [])];
  return {
    ociVersion: '1.0.2',
    process: {
      terminal,
      ...(terminal && parameters.consoleSize ? { consoleSize: parameters.consoleSize } : {}),
      user: parameters.user,
      args: [...parameters.args],
      env: mergeEnvironment(env, parameters.env),
      cwd: parameters.cwd,
      capabilities: {
        bounding: defaultCapabilities,
        effective: defaultCapabilities,
        permitted: defaultCapabilities,
      },
      noNewPrivileges: true,
      // As containerd's own spec has it: otherwise the task has what the runtime raised for itself.
      rlimits: [{ type: 'RLIMIT_NOFILE', soft: 1024, hard: 1024 }],
      // Said even though it is the kernel's own: otherwise the task has the shim's, and the shim the daemon's.
      oomScoreAdj: 0,
    },
    root: { path: parameters.rootfs, readonly: parameters.readonlyRootfs },
    hostname: id.slice(0, maxHostname),
    mounts: [...mounts, ...parameters.hostFiles.map(readonlyBind)],
    linux: {
      namespaces: namespaces.map((type) => ({ type })),
      cgroupsPath: cgroupsPathOf(namespace, id),
      resources: { devices: [{ allow: false, access: 'rwm' }], ...resourcesOf(limits) },
      maskedPaths,
      readonlyPaths,
    },
  };
}

/** The cgroup of a container, below the root of each hierarchy. */
export function cgroupsPathOf(namespace: string, id: string): string {
  return `/${namespace}/${id}`;
}

/** The part of `linux.resources` that limits make. */
export function resourcesOf(limits: Limits): Record<string, unknown> {
  return {
    ...(limits.memory === undefined ? {} : { memory: { limit: limits.memory } }),
    ...(limits.cpus === undefined ? {} : { cpu: { quota: Math.round(limits.cpus * cpuPeriod), period: cpuPeriod } }),
    ...(limits.pids === undefined ? {} : { pids: { limit: limits.pids } }),
  };
}

/** `changes` over `base`, both `NAME=value`: a name keeps its place, and the last value given for it counts. */
export function mergeEnvironment(base: readonly string[], changes: readonly string[]): string[] {
  const byName = new Map<string, string>();
  for (const entry of [...base, ...changes]) byName.set(entry.split('=', 1)[0] ?? entry, entry);
  return [...byName.values()];
}

function readonlyBind(file: string): Mount {
  return { destination: file, type: 'bind', source: file, options: ['rbind', 'ro'] };
}
