import { type Namespace, parseNamespace, parseSandboxId, type SandboxId } from './identifiers.ts';
import { textOf } from './json-fields.ts';
import type { SandboxPhase } from './messages/sandbox.ts';
import type { Timestamp } from './wire/timestamp.ts';

/** `sandbox.json` of a sandbox's bundle: what adoption has to know and not every shim tells. */
export interface SandboxRecord {
  readonly namespace: Namespace;
  readonly sandbox: SandboxId;
  /** Absolute path of the shim's binary. */
  readonly binary: string;
  /** The runtime as the client wrote it. */
  readonly runtime: string;
  readonly phase: SandboxPhase;
  /** 0 before the start, and where the sandbox has no process of its own. */
  readonly pid: number;
  /** As the shim told it at the start. */
  readonly createdAt?: Timestamp | undefined;
}

const phases: readonly SandboxPhase[] = ['creating', 'created', 'starting', 'started'];

export function formatSandboxRecord(record: SandboxRecord): string {
  return `${JSON.stringify(record)}\n`;
}

/** Undefined where the text is no record of a sandbox: cut off, foreign, or with ids that are none. */
export function parseSandboxRecord(text: string): SandboxRecord | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const from: Readonly<Record<string, unknown>> = Object.fromEntries(Object.entries(value));
    const phase = phases.find((known) => known === from['phase']);
    if (phase === undefined) return undefined;
    const createdAt = timestampIn(from['createdAt']);
    return {
      namespace: parseNamespace(textOf(from['namespace'])),
      sandbox: parseSandboxId(textOf(from['sandbox'])),
      binary: textOf(from['binary']),
      runtime: textOf(from['runtime']),
      phase,
      pid: Number.isSafeInteger(from['pid']) ? Number(from['pid']) : 0,
      ...(createdAt === undefined ? {} : { createdAt }),
    };
  } catch {
    return undefined;
  }
}

function timestampIn(value: unknown): Timestamp | undefined {
  if (typeof value !== 'object' || value === null || !('seconds' in value) || !('nanos' in value)) return undefined;
  const { seconds, nanos } = value;
  return typeof seconds === 'number' && typeof nanos === 'number' ? { seconds, nanos } : undefined;
}
