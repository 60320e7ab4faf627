import { statSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { adminDefinition, introspectionDefinition } from '../../shared/grpc/index.ts';
import type { Namespace } from '../../shared/identifiers.ts';
import type { Daemon } from '../client/daemon.ts';

/** What processes take of the host. */
export interface Footprint {
  readonly processes: number;
  /** Proportional set size in bytes: memory that several share counts once in all. */
  readonly pss: number;
  /** The part of it that belongs to no file, in bytes: a leak is here, and no other process changes it. */
  readonly anonymous: number;
  readonly descriptors: number;
  readonly threads: number;
}

export interface Footprints {
  readonly daemon: Footprint;
  /** Of the shims of one namespace. */
  readonly shims: Footprint;
}

export const nothing: Footprint = { processes: 0, pss: 0, anonymous: 0, descriptors: 0, threads: 0 };

export function sum(a: Footprint, b: Footprint): Footprint {
  return {
    processes: a.processes + b.processes,
    pss: a.pss + b.pss,
    anonymous: a.anonymous + b.anonymous,
    descriptors: a.descriptors + b.descriptors,
    threads: a.threads + b.threads,
  };
}

const callTimeout = 5_000;

/** Reads what the daemon and its shims take, from /proc. */
export class FootprintReader {
  readonly #daemon: Daemon;
  readonly #namespace: Namespace;
  readonly #pid: number;

  private constructor(daemon: Daemon, namespace: Namespace, pid: number) {
    this.#daemon = daemon;
    this.#namespace = namespace;
    this.#pid = pid;
  }

  /** Undefined where the daemon's processes cannot be seen from here: another pid namespace, another user. */
  static async open(daemon: Daemon, namespace: Namespace): Promise<FootprintReader | undefined> {
    const server = await daemon.call(introspectionDefinition.server, namespace, {}, { timeout: callTimeout });
    const [pid, pidns] = [numberOf(server.pid), numberOf(server.pidns)];
    if (pidns !== statSync('/proc/self/ns/pid').ino) return undefined;
    if ((await footprintOf(pid)) === undefined) return undefined;
    return new FootprintReader(daemon, namespace, pid);
  }

  /** Undefined where the daemon is gone. */
  async read(): Promise<Footprints | undefined> {
    const [daemon, pids] = await Promise.all([footprintOf(this.#pid), this.shimPids()]);
    if (daemon === undefined) return undefined;
    const shims = await Promise.all(pids.map(footprintOf));
    return { daemon, shims: shims.reduce<Footprint>((all, one) => sum(all, one ?? nothing), nothing) };
  }

  async shimPids(): Promise<number[]> {
    const { shims } = await this.#daemon.call(adminDefinition.listShims, this.#namespace, {}, { timeout: callTimeout });
    return shims.flatMap(({ namespace, pid }) => (namespace === this.#namespace && pid ? [pid] : []));
  }
}

/** protobufjs makes objects of 64-bit numbers where it finds a library for them, whatever its types say. */
function numberOf(value: unknown): number {
  return Number(value);
}

/** Undefined where there is no such process, or it is not ours to look into. */
async function footprintOf(pid: number): Promise<Footprint | undefined> {
  try {
    const [rollup, status, descriptors] = await Promise.all([
      readFile(`/proc/${pid}/smaps_rollup`, 'latin1'),
      readFile(`/proc/${pid}/status`, 'latin1'),
      readdir(`/proc/${pid}/fd`),
    ]);
    const pss = kilobytes(rollup, 'Pss');
    if (pss === undefined) return undefined;
    // Kernels before 5.1 do not tell it apart.
    const anonymous = kilobytes(rollup, 'Pss_Anon') ?? pss;
    const threads = Number(/^Threads:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    return { processes: 1, pss: pss * 1024, anonymous: anonymous * 1024, descriptors: descriptors.length, threads };
  } catch {
    return undefined;
  }
}

function kilobytes(rollup: string, name: string): number | undefined {
  const text = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1];
  return text === undefined ? undefined : Number(text);
}
