import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { resolveSettings, type Settings } from '../daemon/config/settings.ts';
import { exitCodes, StartError } from '../daemon/exit-code.ts';
import { prepareDirectory } from '../daemon/prepare-directory.ts';
import { failedPrecondition, invalidArgument, TaskError } from '../shared/errors/index.ts';
import type { Directories } from '../shared/layout.ts';
import type { OpenOptions } from './options.ts';

/** Longer ones leave no room for the names of sockets. */
const longestTemporaryDirectory = 40;

/** Where a supervisor lives. */
export interface Home {
  readonly settings: Settings;
  /** Nothing in it is to outlive the supervisor. */
  readonly temporary: boolean;
  /** Where FIFOs of processes are made. Hidden: a name that could be a namespace's is not free. */
  readonly pipes: string;
  /** Removes a temporary home; leaves another as it is. */
  remove(): Promise<void>;
}

/** Makes the directories and puts the settings together. Throws a TaskError that says what is wrong with the options. */
export async function prepareHome(options: OpenOptions): Promise<Home> {
  const made = options.directory === undefined ? await makeTemporary() : undefined;
  const remove = async () => {
    if (made !== undefined) await rm(made, { recursive: true, force: true });
  };
  try {
    const settings = settingsOf(directoriesOf(made ?? options.directory ?? ''), options);
    const { directories, eventsAddress } = settings;
    await prepareDirectory(directories.root, { purpose: 'root', mode: 0o700 });
    // Passed through by containers in user namespaces.
    await prepareDirectory(directories.state, { purpose: 'state', mode: 0o711 });
    const events = path.dirname(eventsAddress);
    if (events !== directories.state) await prepareDirectory(events, { purpose: 'events', mode: 0o700 });
    const pipes = path.join(directories.state, '.pipes');
    return { settings, temporary: made !== undefined, pipes, remove };
  } catch (error) {
    await remove();
    throw openError(error);
  }
}

/** What goes wrong at a start, in the library's terms. */
export function openError(error: unknown): TaskError {
  if (!(error instanceof StartError)) return TaskError.from(error, 'cannot open the supervisor');
  const { exitCode, message } = error;
  if (exitCode === exitCodes.configuration) return invalidArgument(`cannot open the supervisor: ${message}`);
  // The advice of the message is for a command line.
  const reason = exitCode === exitCodes.alreadyRunning ? (message.split(';')[0] ?? message) : message;
  return failedPrecondition(`cannot open the supervisor: ${reason}`);
}

function makeTemporary(): Promise<string> {
  const parent = tmpdir();
  return mkdtemp(path.join(parent.length > longestTemporaryDirectory ? '/tmp' : parent, 'shimd-'));
}

function directoriesOf(directory: string | Directories): Directories {
  if (typeof directory !== 'string') return directory;
  return { root: path.join(directory, 'root'), state: path.join(directory, 'state') };
}

function settingsOf({ root, state }: Directories, options: OpenOptions): Settings {
  const { placement = {}, workers = 1, timeout } = options;
  const { mode, tasksPerShim, idleGrace } = placement;
  check(workers, 'workers', 1, 64);
  if (tasksPerShim !== undefined) check(tasksPerShim, 'placement.tasksPerShim', 1, 100);
  if (idleGrace !== undefined) check(idleGrace, 'placement.idleGrace', 0, 2 ** 31 - 1);
  if (timeout !== undefined) check(timeout, 'timeout', 1, 2 ** 31 - 1);
  return resolveSettings(
    { root, state, workers, logLevel: options.logLevel },
    {
      placement: { mode, tasks_per_shim: tasksPerShim, idle_grace: idleGrace },
      deadlines: { call: timeout },
    },
  );
}

function check(value: number, name: string, lowest: number, highest: number): void {
  if (Number.isInteger(value) && value >= lowest && value <= highest) return;
  throw invalidArgument(
    `cannot open the supervisor: ${name} ${value} is not an integer from ${lowest} to ${highest}: invalid argument`,
  );
}
