import path from 'node:path';
import { defaultRestart, type RestartConfig } from '../../restart/config.ts';
import { defaultDirectories, type Surroundings } from '../../shared/defaults.ts';
import { type Directories, eventsSocket } from '../../shared/layout.ts';
import type { LogLevel } from '../../shared/log/logger.ts';
import type { LogFormat } from '../../shared/log/winston-logger.ts';
import type { Deadlines } from '../../shared/messages/index.ts';
import { socketPathOf } from '../../shared/ttrpc/address.ts';
import { defaultPlacement, type PlacementConfig } from '../../supervisor/placement-config.ts';
import { configurationError } from '../exit-code.ts';
import type { ConfigFile } from './schema.ts';
import { shortEventsSocket } from './short-socket.ts';

/** Everything that a daemon can be told, complete. */
export interface Settings {
  readonly directories: Directories;
  /** Path of the gRPC socket. */
  readonly address: string;
  /** Path of the ttrpc socket that shims publish events to. */
  readonly eventsAddress: string;
  /** Name or number of the group that may use the gRPC socket besides its owner. */
  readonly socketGroup: string | number | undefined;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  readonly workers: number;
  readonly placement: PlacementConfig;
  readonly restart: RestartConfig;
  readonly shimDebug: boolean;
  readonly shimEnvironment: Readonly<Record<string, string>>;
  /** Where shims make their sockets, where they let themselves be told; undefined for `.s` in the state directory. */
  readonly socketDirectory: string | undefined;
  /** Milliseconds between two looks at each shim and its processes. */
  readonly heartbeat: number;
  /** Milliseconds for which a shim is believed that calls a process alive which is gone. */
  readonly lostExitAfter: number;
  readonly deadlines: Deadlines;
}

/** What the command line says; it wins over the file. */
export interface Flags {
  readonly root?: string | undefined;
  readonly state?: string | undefined;
  readonly address?: string | undefined;
  readonly logLevel?: LogLevel | undefined;
  readonly workers?: number | undefined;
}

export const defaultDeadlines: Deadlines = {
  load: 5_000,
  cleanup: 5_000,
  shutdown: 3_000,
  state: 2_000,
  metrics: 2_000,
  start: 30_000,
  call: 60_000,
};

/** How long an exit that a shim lost can stay unseen, about. */
const defaultHeartbeat = 10_000;

/** A shim with many tasks on a busy host can be this far behind with their exits; a made-up one must never be early. */
const defaultLostExitAfter = 60_000;

/** Defaults, then the file, then the flags. Throws a StartError for what cannot be served. */
export function resolveSettings(flags: Flags, file: ConfigFile, surroundings?: Surroundings): Settings {
  const defaults = defaultDirectories(surroundings);
  const directories = {
    root: path.resolve(flags.root ?? file.root ?? defaults.root),
    state: path.resolve(flags.state ?? file.state ?? defaults.state),
  };
  checkApart(directories);
  const events = eventsSocket(directories);
  return {
    directories,
    address: socketAddress(flags.address ?? file.address ?? path.join(directories.state, 'shimd.sock')),
    eventsAddress: fits(events) ? events : shortEventsSocket(directories.state, surroundings),
    socketGroup: file.socket_group,
    logLevel: flags.logLevel ?? file.log_level ?? 'info',
    logFormat: file.log_format ?? 'auto',
    workers: flags.workers ?? file.workers ?? 2,
    placement: resolvePlacement(file.placement ?? {}),
    restart: resolveRestart(file.restart ?? {}),
    shimDebug: file.shim?.debug ?? false,
    shimEnvironment: file.shim?.environment ?? {},
    socketDirectory: file.shim?.socket_directory === undefined ? undefined : path.resolve(file.shim.socket_directory),
    heartbeat: file.shim?.heartbeat ?? defaultHeartbeat,
    lostExitAfter: file.shim?.lost_exit_after ?? defaultLostExitAfter,
    deadlines: resolveDeadlines(file.deadlines ?? {}),
  };
}

/** Both have a directory a namespace: one inside the other would mix bundles and metadata. */
function checkApart({ root, state }: Directories): void {
  if (`${root}/`.startsWith(`${state}/`) || `${state}/`.startsWith(`${root}/`)) {
    throw configurationError(`root ${root} and state ${state} must be separate directories, neither inside the other`);
  }
}

function socketAddress(address: string): string {
  try {
    return socketPathOf(/^(unix:|@)/.test(address) ? address : path.resolve(address));
  } catch (error) {
    throw configurationError(`address: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function fits(socket: string): boolean {
  try {
    socketPathOf(socket);
    return true;
  } catch {
    return false;
  }
}

function resolvePlacement(file: NonNullable<ConfigFile['placement']>): PlacementConfig {
  return {
    mode: file.mode ?? defaultPlacement.mode,
    runtimes: file.runtimes ?? defaultPlacement.runtimes,
    tasksPerShim: file.tasks_per_shim ?? defaultPlacement.tasksPerShim,
    maxTasksPerShimLife: file.tasks_per_shim_life ?? defaultPlacement.maxTasksPerShimLife,
    idleGrace: file.idle_grace ?? defaultPlacement.idleGrace,
  };
}

function resolveRestart(file: NonNullable<ConfigFile['restart']>): RestartConfig {
  return {
    interval: file.interval ?? defaultRestart.interval,
    firstPause: file.first_pause ?? defaultRestart.firstPause,
    longestPause: file.longest_pause ?? defaultRestart.longestPause,
    healthyAfter: file.healthy_after ?? defaultRestart.healthyAfter,
    grace: file.grace ?? defaultRestart.grace,
    parallel: file.parallel ?? defaultRestart.parallel,
    logDirectories: file.log_directories ?? defaultRestart.logDirectories,
    binaryLogs: file.binary_logs ?? defaultRestart.binaryLogs,
  };
}

function resolveDeadlines(file: NonNullable<ConfigFile['deadlines']>): Deadlines {
  return {
    load: file.load ?? defaultDeadlines.load,
    cleanup: file.cleanup ?? defaultDeadlines.cleanup,
    shutdown: file.shutdown ?? defaultDeadlines.shutdown,
    state: file.state ?? defaultDeadlines.state,
    metrics: file.metrics ?? defaultDeadlines.metrics,
    start: file.start ?? defaultDeadlines.start,
    call: file.call ?? defaultDeadlines.call,
  };
}
