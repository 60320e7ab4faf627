import { invalidArgument } from './errors/index.ts';

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** A containerd namespace; also a directory name under the state and root directories. */
export type Namespace = Branded<'Namespace'>;
/** The id of a task, which is its container's; also the name of its bundle directory. */
export type TaskId = Branded<'TaskId'>;
/** The id of an exec, unique within its task. */
export type ExecId = Branded<'ExecId'>;
/** The id of a shim: the task's id where the shim has one task, a made-up one where it is shared. */
export type ShimId = Branded<'ShimId'>;

/** The id of a sandbox: a group of tasks that share a shim, and its end. */
export type SandboxId = Branded<'SandboxId'>;

/** Longest identifier, in characters (containerd's `identifiers` package). */
export const maxIdentifierLength = 76;

const identifierPattern = /^[A-Za-z0-9]+(?:[_.-][A-Za-z0-9]+)*$/;

/** Throws INVALID_ARGUMENT, in containerd's words, unless `value` is an identifier. */
function assertIdentifier<Id extends string>(value: string): asserts value is Id {
  if (value.length === 0) throw invalidArgument('identifier must not be empty: invalid argument');
  if (value.length > maxIdentifierLength) {
    throw invalidArgument(
      `identifier ${JSON.stringify(value.slice(0, maxIdentifierLength))}… greater than maximum length (${maxIdentifierLength} characters): invalid argument`,
    );
  }
  if (!identifierPattern.test(value)) {
    throw invalidArgument(
      `identifier ${JSON.stringify(value)} must match ${identifierPattern.source}: invalid argument`,
    );
  }
}

/** Parses a namespace. Throws INVALID_ARGUMENT with containerd's `namespace validation` prefix. */
export function parseNamespace(value: string): Namespace {
  try {
    assertIdentifier<Namespace>(value);
    return value;
  } catch (error) {
    throw invalidArgument(`namespace validation: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export function parseTaskId(value: string): TaskId {
  assertIdentifier<TaskId>(value);
  return value;
}

export function parseExecId(value: string): ExecId {
  assertIdentifier<ExecId>(value);
  return value;
}

export function parseShimId(value: string): ShimId {
  assertIdentifier<ShimId>(value);
  return value;
}

export function parseSandboxId(value: string): SandboxId {
  assertIdentifier<SandboxId>(value);
  return value;
}

/** True where `value` could name a namespace, task, exec or shim; for directory listings. */
export function isIdentifier(value: string): boolean {
  return value.length <= maxIdentifierLength && identifierPattern.test(value);
}

/** One task on the host. */
export interface TaskRef {
  readonly namespace: Namespace;
  readonly task: TaskId;
}

/** One process of a task: its init where `exec` is absent. */
export interface ProcessRef extends TaskRef {
  readonly exec?: ExecId | undefined;
}

/** One shim on the host. */
export interface ShimRef {
  readonly namespace: Namespace;
  readonly shim: ShimId;
}

/** One sandbox on the host. */
export interface SandboxRef {
  readonly namespace: Namespace;
  readonly sandbox: SandboxId;
}
