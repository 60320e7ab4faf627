import { access, constants, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { invalidArgument, TaskError } from '../shared/errors/index.ts';

const rightForms =
  'give a name such as "io.containerd.runc.v2" or the absolute path of a shim such as "/usr/bin/containerd-shim-runc-v2"';

/** The runtime that comes with the package, wherever that is installed. */
const embedded = { name: 'io.shimd.process.v1', program: new URL('../process-shim/main.js', import.meta.url) };

/** Answers older than this are looked up again, in milliseconds: a shim that was installed meanwhile is found. */
const keepFor = 10_000;

/** Name of the binary of a dotted runtime name; undefined where it is none. */
export function binaryNameOf(runtime: string): string | undefined {
  const parts = runtime.split('.');
  const [name, version] = parts.slice(-2);
  if (parts.length < 2 || parts.includes('') || name === undefined || version === undefined) return undefined;
  return `containerd-shim-${name}-${version}`;
}

/** Finds the shim's binary of a runtime. */
export class RuntimeResolver {
  readonly #known = new Map<string, { readonly binary: string; readonly at: number }>();
  readonly #searchPath: () => readonly string[];

  /** `searchPath` gives the directories to look in, in order; PATH and the program's own directory where absent. */
  constructor(searchPath: () => readonly string[] = defaultSearchPath) {
    this.#searchPath = searchPath;
  }

  /**
   * Absolute path of the binary. Throws INVALID_ARGUMENT where `runtime` has neither of the two forms, UNKNOWN where
   * the binary is not installed.
   */
  async resolve(runtime: string): Promise<string> {
    const found = this.#known.get(runtime);
    if (found !== undefined && Date.now() - found.at < keepFor) return found.binary;
    this.#known.delete(runtime);
    const binary = await this.#look(runtime);
    // The names come from clients: a bound keeps a hostile one from filling the memory.
    if (this.#known.size >= 1000) this.#known.clear();
    this.#known.set(runtime, { binary, at: Date.now() });
    return binary;
  }

  async #look(runtime: string): Promise<string> {
    if (path.isAbsolute(runtime)) {
      if (await isExecutable(runtime)) return runtime;
      throw new TaskError(
        'UNKNOWN',
        `runtime ${JSON.stringify(runtime)}: the shim is not installed: put an executable there, or ${rightForms}`,
      );
    }
    const name = runtime.includes('/') ? undefined : binaryNameOf(runtime);
    if (name === undefined) {
      throw invalidArgument(`invalid runtime name ${JSON.stringify(runtime)}: ${rightForms}: invalid argument`);
    }
    for (const directory of this.#searchPath()) {
      const candidate = path.join(directory, name);
      if (path.isAbsolute(directory) && (await isExecutable(candidate))) return candidate;
    }
    if (runtime === embedded.name) {
      const program = fileURLToPath(embedded.program);
      if (await isExecutable(program)) return program;
    }
    throw new TaskError(
      'UNKNOWN',
      `runtime ${JSON.stringify(runtime)}: the shim ${name} is not installed: put it on PATH, or ${rightForms}`,
    );
  }
}

function defaultSearchPath(): string[] {
  const program = process.argv[1];
  return [...(process.env['PATH'] ?? '').split(':'), ...(program === undefined ? [] : [path.dirname(program)])];
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}
