import path from 'node:path';
import { failedPrecondition, invalidArgument, notFound, type TaskError, unavailable } from '../shared/errors/index.ts';
import type { ProcessRef } from '../shared/identifiers.ts';
import type { Stdio } from '../shared/messages/index.ts';
import { type Any, isTypeUrl, typeUrls } from '../shared/wire/any.ts';
import type { TaskProcess } from './task-process.ts';

// Requests that no shim survives, or that hang one, are refused here: it would take its other tasks with it.

/** Shims panic on an exec without a process spec. */
export function checkExecSpec(spec: Any | undefined): asserts spec is Any {
  if (spec === undefined || spec.typeUrl === '' || spec.value.length === 0) {
    throw invalidArgument('cannot exec: the request has no process spec: give one as JSON: invalid argument');
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(spec.value).toString('utf8'));
  } catch (error) {
    throw invalidArgument(
      `cannot exec: the process spec is no valid JSON: ${error instanceof Error ? error.message : String(error)}: invalid argument`,
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidArgument('cannot exec: the process spec is no JSON object: invalid argument');
  }
}

/** Shims panic on an update without resources. */
export function checkResources(resources: Any | undefined): asserts resources is Any {
  if (resources === undefined || resources.typeUrl === '' || resources.value.length === 0) {
    throw invalidArgument('cannot update: the request has no resources: give them as JSON: invalid argument');
  }
}

/** runc shims panic on options of any other type that they know. */
export function checkOptions(binary: string, options: Any | undefined): void {
  if (options === undefined || !path.basename(binary).startsWith('containerd-shim-runc-')) return;
  if (isTypeUrl(options.typeUrl, typeUrls.runcOptions)) return;
  throw invalidArgument(
    `the runtime options are of type ${JSON.stringify(options.typeUrl)}, but ${path.basename(binary)} takes ${typeUrls.runcOptions}: invalid argument`,
  );
}

/** Shims panic on a `file://` stdout where stderr is empty; it goes to stdout's file anyway. */
export function checkStdio(stdio: Stdio): void {
  if (stdio.stdout.startsWith('file:') && stdio.stderr === '' && !stdio.terminal) {
    throw invalidArgument('stdout is a file:// URI and stderr is empty: give stderr the same URI: invalid argument');
  }
}

export function checkSignal(signal: number): void {
  if (!Number.isInteger(signal) || signal < 1 || signal > 64) {
    throw invalidArgument(`invalid signal ${signal}: give a number from 1 to 64: invalid argument`);
  }
}

/** The kernel takes 16 bits of each: a shim would cut off the rest and set another size. */
const maxTerminalSize = 65_535;

export function checkTerminalSize({ width, height }: { readonly width: number; readonly height: number }): void {
  if (width <= maxTerminalSize && height <= maxTerminalSize) return;
  throw invalidArgument(
    `invalid terminal size ${width}x${height}: give at most ${maxTerminalSize} each: invalid argument`,
  );
}

/**
 * Shims panic or hang on a second Start. Throws INVALID_ARGUMENT, but UNAVAILABLE where a first one is under way, as it can
 * be after its answer was lost with a thread: it comes through or not, and asking again tells.
 */
export function checkStartable(process: TaskProcess): void {
  const name = process.ref.exec ?? process.ref.task;
  const { state } = process;
  switch (state.kind) {
    case 'created':
    case 'unknown':
      return;
    case 'starting':
      throw unavailable(`cannot start process ${name}: a start is under way: ask again when it is over: unavailable`);
    case 'start-failed':
      throw invalidArgument(
        `cannot start process ${name}: an earlier start failed, delete it and create it again: invalid argument`,
      );
    case 'stopped':
      throw invalidArgument(`cannot start a stopped process: ${name} has ended: invalid argument`);
    default:
      throw invalidArgument(`cannot start a running process: ${name} runs already: invalid argument`);
  }
}

/** Throws FAILED_PRECONDITION for an exec whose start failed: it never runs, so there is no end to wait for. */
export function checkAwaitable({ ref, state }: TaskProcess): void {
  if (ref.exec !== undefined && state.kind === 'start-failed') throw neverRan(ref);
}

/** What those are told who wait for the end of a process that never ran. */
export function neverRan({ exec, task }: ProcessRef): TaskError {
  return failedPrecondition(`cannot wait for process ${exec ?? task}: its start failed: failed precondition`);
}

/** Throws NOT_FOUND for an ended process, FAILED_PRECONDITION for an exec that was not started. */
export function checkKillable(process: TaskProcess): void {
  const { state, ref } = process;
  if (state.kind === 'stopped') throw notFound('process already finished: not found');
  if (ref.exec === undefined) return;
  if (state.kind === 'created' || state.kind === 'start-failed') {
    throw failedPrecondition(`exec ${ref.exec}: process not created: failed precondition`);
  }
}
