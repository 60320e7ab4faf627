// What a daemon leaves behind: its shims, their tasks and where they listen.
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { daemonsBelow, descendantsOf, isAlive, shimsBelow } from './processes.mjs';

/** How long what was killed may take to be gone, in milliseconds. */
const patience = 10_000;

/** Processes of the daemons, shims and tasks whose files are below `directory`. */
export function leftBelow(directory) {
  const shims = shimsBelow(directory);
  // Without their shim nobody would know whose the tasks were.
  return [...daemonsBelow(directory), ...shims, ...descendantsOf(shims)];
}

/** Kills whatever `processes` answers, until there is nothing. */
export async function endProcesses(processes) {
  const end = Date.now() + patience;
  // A task that is told by its shim alone is seen while that lives: it is not forgotten when the shim is gone first.
  const seen = new Set();
  for (;;) {
    for (const pid of processes()) seen.add(pid);
    const alive = [...seen].filter((pid) => isAlive(pid));
    if (alive.length === 0 || Date.now() > end) return;
    for (const pid of alive) kill(pid);
    await delay(20);
  }
}

/** Finds out where the shims of `directory` listen, and answers what removes that: once they have ended, as theirs it is. */
export function removeSockets(directory) {
  const files = filesBelow(directory)
    .filter((file) => path.basename(file) === 'bootstrap.json')
    .flatMap((file) => socketOf(path.join(directory, file)) ?? []);
  // They may be in a directory that all daemons of the host share.
  return () => {
    for (const file of files) rmSync(file, { force: true });
  };
}

function filesBelow(directory) {
  try {
    return readdirSync(directory, { recursive: true });
  } catch {
    // It is being removed.
    return [];
  }
}

/** Where a shim listens, as its bundle says; undefined where that is gone. */
function socketOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).address.replace(/^unix:\/\//, '');
  } catch {
    return undefined;
  }
}

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone by itself.
  }
}
