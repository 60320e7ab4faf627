import { lstatSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cgroupsNaming, identify, isAlive, mountsBelow, names, read } from '../../chaos/lib/host.mjs';
import { endProcesses, leftBelow, removeSockets } from './leftovers.mjs';

/** Where runc keeps what it knows of its containers, unless it is told otherwise. */
const runcState = '/run/containerd/runc';
const signals = { SIGINT: 2, SIGTERM: 15 };
const marks = /^shimd-(?:bench|scale)-(\d+)-(\d+)$/;

/**
 * One run of a benchmark. What it makes on the host is named by its mark, or is in a cgroup of that name: so it can be ended
 * by the run, however that ends, and by a later one where it was killed. The mark names one process for as long as the host
 * is up, so what belongs to a run that goes on is left alone.
 */
class Run {
  #closed;
  /** Number of the signal that ends the run. */
  interruptedBy;

  constructor(kind) {
    this.mark = `shimd-${kind}-${process.pid}-${identify(process.pid).startTime}`;
    this.directory = path.join(tmpdir(), this.mark);
    mkdirSync(this.directory, { mode: 0o700 });
    for (const [signal, number] of Object.entries(signals)) {
      process.once(signal, () => {
        this.interruptedBy ??= number;
        void this.close().then(() => this.exit());
      });
    }
  }

  /** Has a daemon that was just started, and all that it starts, in a cgroup of the run, where there may be one. */
  take(pid) {
    for (const parent of ownCgroups()) {
      // Beside runc's tasks, not above them: version 2 has processes only in the leaves.
      const directory = path.join(parent, this.mark, 'daemons');
      try {
        mkdirSync(directory, { recursive: true });
        writeFileSync(path.join(directory, 'cgroup.procs'), String(pid));
      } catch {
        // Nothing may be made here, by the daemon's shims neither.
      }
    }
  }

  /** Throws once the run is being ended: what is started from then on would be left. */
  check() {
    if (this.#closed) throw new Error('the run is being ended');
  }

  /** Ends what the run made, and removes it. */
  close() {
    this.#closed ??= endMarked(this.mark);
    return this.#closed;
  }

  /** Ends the program as the signal would have, where there was one. */
  exit() {
    if (this.interruptedBy !== undefined) process.exit(128 + this.interruptedBy);
  }
}

/** Does `work` in a run of its own, of which nothing is left however it ends; nor of those before it. */
export async function duringRun(kind, say, work) {
  await endEarlierRuns(say);
  const run = new Run(kind);
  try {
    return await work(run);
  } finally {
    await run.close();
    run.exit();
  }
}

/** Ends what runs have left that were killed themselves. */
async function endEarlierRuns(say) {
  const groups = cgroupsNaming('/shimd-').map((directory) => path.basename(directory));
  // runc's state has a directory for each namespace, which is the mark and a number.
  const namespaces = names(runcState).map((name) => name.replace(/-\d+$/, ''));
  for (const mark of new Set([...names(tmpdir()), ...groups, ...namespaces])) {
    const [, pid, startTime] = marks.exec(mark) ?? [];
    if (pid === undefined || isAlive({ pid: Number(pid), startTime })) continue;
    say(`removing what ${mark} has left`);
    await endMarked(mark);
  }
}

async function endMarked(mark) {
  const directory = path.join(tmpdir(), mark);
  // Everybody may make a directory in /tmp, and what its files say is done here.
  const isOurs = lstatSync(directory, { throwIfNoEntry: false })?.uid === process.getuid();
  const processes = () => [...membersOf(mark), ...(isOurs ? leftBelow(directory) : [])];
  const sockets = isOurs ? removeSockets(directory) : () => undefined;
  await endProcesses(processes);
  sockets();
  for (const group of cgroupsOf(mark)) await removeCgroup(group);
  for (const name of names(runcState).filter((name) => name.startsWith(`${mark}-`)))
    rmSync(path.join(runcState, name), { recursive: true, force: true });
  if (isOurs && mountsBelow(directory).length === 0) rmSync(directory, { recursive: true, force: true });
}

/** The cgroups of a run, deepest first. */
function cgroupsOf(mark) {
  return cgroupsNaming(`/${mark}`).filter((directory) => directory.split(path.sep).includes(mark));
}

function membersOf(mark) {
  return cgroupsOf(mark).flatMap((directory) => {
    try {
      // What is frozen does not end.
      writeFileSync(path.join(directory, 'freezer.state'), 'THAWED', { flag: 'r+' });
    } catch {
      // Another hierarchy.
    }
    return read(path.join(directory, 'cgroup.procs'))
      .split('\n')
      .map(Number)
      .filter((pid) => pid > 0);
  });
}

/** The kernel may need a moment to see that nobody is in it any more. */
async function removeCgroup(directory) {
  for (let turn = 0; turn < 100; turn += 1) {
    try {
      return rmdirSync(directory);
    } catch (error) {
      if (error.code === 'ENOENT') return;
      await delay(10);
    }
  }
}

/** This process's own cgroups in the hierarchies that the embedded runtime tracks its tasks by: there it makes others. */
function ownCgroups() {
  return readFileSync('/proc/self/cgroup', 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, controllers, own] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      if (controllers === '') return [path.join('/sys/fs/cgroup', own)];
      return controllers?.split(',').includes('freezer') ? [path.join('/sys/fs/cgroup/freezer', own)] : [];
    })
    .filter((directory) => names(directory).includes('cgroup.procs'));
}
