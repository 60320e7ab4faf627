import path from 'node:path';
import type { Directories } from './layout.ts';

/** What the defaults depend on: who runs the program, and the variables of the XDG base directory specification. */
export interface Surroundings {
  readonly uid: number;
  readonly env: Readonly<Record<string, string | undefined>>;
}

function here(): Surroundings {
  return { uid: process.getuid?.() ?? 0, env: process.env };
}

/** A variable counts where it holds an absolute path, as the specification demands. */
function directoryOf(value: string | undefined): string | undefined {
  return value !== undefined && path.isAbsolute(value) ? value : undefined;
}

/**
 * `/var/lib/shimd` and `/run/shimd` for root; for others `$XDG_STATE_HOME/shimd` (`~/.local/state/shimd`) and
 * `$XDG_RUNTIME_DIR/shimd` (`/tmp/shimd-UID`).
 */
export function defaultDirectories(surroundings: Surroundings = here()): Directories {
  const { uid, env } = surroundings;
  if (uid === 0) return { root: '/var/lib/shimd', state: '/run/shimd' };
  const home = directoryOf(env['HOME']) ?? '/tmp';
  const persistent = directoryOf(env['XDG_STATE_HOME']) ?? path.join(home, '.local/state');
  const runtime = directoryOf(env['XDG_RUNTIME_DIR']);
  return {
    root: path.join(persistent, 'shimd'),
    state: runtime === undefined ? `/tmp/shimd-${uid}` : path.join(runtime, 'shimd'),
  };
}

/** The socket that the daemon listens on and that clients dial: `shimd.sock` in the state directory. */
export function defaultAddress(surroundings: Surroundings = here()): string {
  return path.join(defaultDirectories(surroundings).state, 'shimd.sock');
}

/** The namespace of clients that name none. */
export const defaultNamespace = 'default';
