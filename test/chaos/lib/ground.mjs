import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cgroupsNaming, mountsBelow, names, processesNaming, signal, zombiesOf } from './host.mjs';

/** State directory's size: small enough to be filled at once. */
const stateSize = '48m';
/** How long everything may take to be gone at the end, in milliseconds. */
const settleBudget = 30_000;
/** Directories of a namespace that are no bundles and hold some. */
const groups = ['.shims', '.sandboxes'];
/** Where runc keeps what it knows of its containers, unless it is told otherwise. */
const runcState = '/run/containerd/runc';

/**
 * Where a run happens: a directory, and a namespace that nothing else on the host has. Whatever the run makes names one of
 * the two, so that what is left of it can be found.
 */
export class Ground {
  directory = mkdtempSync(path.join(tmpdir(), 'shimd-chaos-'));
  namespace = `chaos-${path
    .basename(this.directory)
    .slice(-6)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, 'x')}`;
  state = path.join(this.directory, 'state');
  root = path.join(this.directory, 'root');
  /** Whether the state directory has a small file system of its own. */
  isMounted = false;

  /** Makes the state directory: a small tmpfs where this is root. */
  open() {
    mkdirSync(this.state);
    if (process.getuid() !== 0) return;
    const options = ['-t', 'tmpfs', '-o', `size=${stateSize},mode=700`];
    const { status, stderr } = spawnSync('mount', [...options, 'tmpfs', this.state], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`cannot mount a tmpfs: ${stderr}`);
    this.isMounted = true;
  }

  /** The cgroup of one container, as its spec names it. */
  cgroupOf(id) {
    return `/shimd-${this.namespace}/${id}`;
  }

  /** One line for each thing that is not the daemon's own and should be gone. */
  leftovers({ daemon, sockets = [] } = {}) {
    const processes = new Map();
    for (const mark of [this.directory, this.namespace]) {
      for (const one of processesNaming(mark)) if (one.pid !== daemon) processes.set(one.pid, one);
    }
    const cgroups = cgroupsNaming(this.namespace).filter((group) => path.dirname(group).includes(this.namespace));
    const ofRunc = path.join(runcState, this.namespace);
    return [
      ...[...processes.values()].map(({ pid, command }) => `process ${pid}: ${command.slice(0, 160)}`),
      ...(daemon === undefined ? [] : zombiesOf(daemon)).map((pid) => `zombie ${pid}`),
      ...mountsBelow(this.state).map((point) => `mount ${point}`),
      ...cgroups.map((group) => `cgroup ${group}`),
      ...this.#bundles().map((bundle) => `bundle ${bundle}`),
      ...names(ofRunc).map((id) => `container of runc ${path.join(ofRunc, id)}`),
      ...[...sockets].filter((file) => existsSync(file)).map((socket) => `socket ${socket}`),
    ];
  }

  /** Directories of tasks, of shared shims and of sandboxes, in both trees, hidden ones included. */
  #bundles() {
    return [this.state, this.root].flatMap((top) => {
      const inside = path.join(top, this.namespace);
      return names(inside)
        .flatMap((name) =>
          groups.includes(name) ? names(path.join(inside, name)).map((id) => `${name}/${id}`) : [name],
        )
        .map((name) => path.join(inside, name));
    });
  }

  /** Waits for nothing to be left; answers what is. */
  async settled(about, budget = settleBudget) {
    const end = Date.now() + budget;
    for (;;) {
      const left = this.leftovers(about);
      if (left.length === 0 || Date.now() > end) return left;
      await delay(200);
    }
  }

  /** Ends what a failed run left: exactly the processes that name its directory or namespace. */
  cleanUp({ keepLog }) {
    for (let round = 0; round < 3; round += 1) {
      for (const mark of [this.directory, this.namespace]) {
        for (const one of processesNaming(mark)) signal(one, 'SIGKILL');
      }
      for (const point of mountsBelow(this.state)) spawnSync('umount', ['-l', point]);
    }
    if (this.isMounted) spawnSync('umount', ['-l', this.state]);
    for (const group of cgroupsNaming(this.namespace)) {
      try {
        rmdirSync(group);
      } catch {
        // Its processes are just ending.
      }
    }
    rmSync(path.join(runcState, this.namespace), { recursive: true, force: true });
    if (!keepLog && mountsBelow(this.directory).length === 0) rmSync(this.directory, { recursive: true, force: true });
  }
}
