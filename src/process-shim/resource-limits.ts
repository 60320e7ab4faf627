import { invalidArgument } from '../shared/errors/index.ts';

/** The controllers by which the shim can limit processes of the host. */
export type Controller = 'cpu' | 'memory' | 'pids';

/** Limits as an OCI spec's `linux.resources` has them; what is absent stays as it is, -1 is no limit. */
export interface ResourceLimits {
  /** Bytes. `swap` is that of memory and swap together. */
  readonly memory: { readonly limit?: number; readonly reservation?: number; readonly swap?: number };
  /** `quota` and `period` in microseconds. */
  readonly cpu: { readonly shares?: number; readonly quota?: number; readonly period?: number };
  readonly pids: { readonly limit?: number };
}

/** One file of a cgroup, and what is to be written into it. */
export interface ControlFile {
  readonly controller: Controller;
  readonly name: string;
  readonly value: string;
}

type Json = Readonly<Record<string, unknown>>;

/**
 * Parses the resources of an Update. Throws INVALID_ARGUMENT for what is no limit of this runtime's, all of it in one
 * message, so that nobody takes for limited what is not.
 */
export function parseLimits(text: string): ResourceLimits {
  const resources = jsonObject(text);
  const unknown: string[] = [];
  const part = (name: Controller, known: readonly string[]): Json => {
    const given = record(resources[name]);
    for (const [key, value] of Object.entries(given)) {
      if (!known.includes(key) && isSet(value)) unknown.push(`${name}.${key}`);
    }
    return given;
  };
  const memory = part('memory', ['limit', 'reservation', 'swap', 'checkBeforeUpdate']);
  const cpu = part('cpu', ['shares', 'quota', 'period']);
  const pids = part('pids', ['limit']);
  for (const [key, value] of Object.entries(resources)) {
    if (key !== 'memory' && key !== 'cpu' && key !== 'pids' && isSet(value)) unknown.push(key);
  }
  if (unknown.length > 0) {
    throw invalidArgument(
      `this runtime limits memory, CPU time and the number of processes, but the update asks for ${unknown.join(', ')}: ` +
        'leave it out, or use another runtime: invalid argument',
    );
  }
  const limits: ResourceLimits = {
    memory: {
      ...number(memory, 'memory', 'limit', -1),
      ...number(memory, 'memory', 'reservation', -1),
      ...number(memory, 'memory', 'swap', -1),
    },
    cpu: { ...number(cpu, 'cpu', 'shares', 2), ...number(cpu, 'cpu', 'quota', -1), ...number(cpu, 'cpu', 'period', 1) },
    pids: number(pids, 'pids', 'limit', -1),
  };
  const { limit, swap } = limits.memory;
  if (swap !== undefined && swap >= 0 && (limit === undefined || limit < 0 || swap < limit)) {
    throw invalidArgument(
      'memory.swap counts memory and swap together: it needs a memory.limit below: invalid argument',
    );
  }
  return limits;
}

/** The files that hold the limits, in the order in which they are to be written. */
export function controlFiles(limits: ResourceLimits, version: 1 | 2): readonly ControlFile[] {
  return version === 1 ? filesOfFirst(limits) : filesOfSecond(limits);
}

function filesOfFirst({ memory, cpu, pids }: ResourceLimits): ControlFile[] {
  return [
    ...file('memory', 'memory.limit_in_bytes', memory.limit),
    ...file('memory', 'memory.memsw.limit_in_bytes', memory.swap),
    ...file('memory', 'memory.soft_limit_in_bytes', memory.reservation),
    ...file('cpu', 'cpu.shares', cpu.shares),
    ...file('cpu', 'cpu.cfs_period_us', cpu.period),
    ...file('cpu', 'cpu.cfs_quota_us', cpu.quota),
    ...file('pids', 'pids.max', pids.limit === undefined ? undefined : orMax(pids.limit)),
  ];
}

function filesOfSecond({ memory, cpu, pids }: ResourceLimits): ControlFile[] {
  const swap = memory.swap === undefined || memory.swap < 0 ? memory.swap : memory.swap - (memory.limit ?? 0);
  const quota = cpu.quota === undefined ? 'max' : orMax(cpu.quota);
  const time = cpu.period === undefined ? quota : `${quota} ${cpu.period}`;
  return [
    ...file('memory', 'memory.max', memory.limit === undefined ? undefined : orMax(memory.limit)),
    ...file('memory', 'memory.swap.max', swap === undefined ? undefined : orMax(swap)),
    ...file('memory', 'memory.low', memory.reservation === undefined ? undefined : orMax(memory.reservation)),
    ...file('cpu', 'cpu.weight', cpu.shares === undefined ? undefined : weightOf(cpu.shares)),
    ...file('cpu', 'cpu.max', cpu.quota === undefined && cpu.period === undefined ? undefined : time),
    ...file('pids', 'pids.max', pids.limit === undefined ? undefined : orMax(pids.limit)),
  ];
}

/** 2 to 262,144 of version 1 onto 1 to 10,000 of version 2. */
function weightOf(shares: number): number {
  return Math.floor(1 + ((Math.min(shares, 262_144) - 2) * 9999) / 262_142);
}

function orMax(limit: number): string {
  return limit < 0 ? 'max' : String(limit);
}

function file(controller: Controller, name: string, value: string | number | undefined): ControlFile[] {
  return value === undefined ? [] : [{ controller, name, value: String(value) }];
}

/** Clients write 0 for what they leave as it is. */
function isSet(value: unknown): boolean {
  if (value === undefined || value === null || value === 0 || value === '' || value === false) return false;
  return typeof value === 'object' ? Object.values(value).some(isSet) : true;
}

function number<Key extends string>(part: Json, name: Controller, key: Key, least: number): { [K in Key]?: number } {
  const value = part[key];
  if (!isSet(value)) return {};
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least) {
    throw invalidArgument(
      `${name}.${key} ${JSON.stringify(value)} is not an integer from ${least} up: invalid argument`,
    );
  }
  const found: { [K in Key]?: number } = {};
  found[key] = value;
  return found;
}

function jsonObject(text: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw invalidArgument(`the resources of the update are not JSON (${reason}): invalid argument`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidArgument('the resources of the update are not a JSON object: invalid argument');
  }
  return record(value);
}

function record(value: unknown): Json {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};
}
