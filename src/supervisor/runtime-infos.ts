import { stat } from 'node:fs/promises';
import { hasCode, TaskError, unimplemented } from '../shared/errors/index.ts';
import type { RuntimeInfo } from '../shared/messages/index.ts';
import type { Any } from '../shared/wire/any.ts';

/** Answers older than this are asked for again, in milliseconds: the runtime behind the shim may have been upgraded. */
const keepFor = 60_000;
const maxKept = 100;

interface Kept {
  readonly modified: number;
  readonly at: number;
  readonly info: Promise<RuntimeInfo>;
}

/** What runtimes say of themselves, asked once for each binary and its options. */
export class RuntimeInfos {
  readonly #ask: (binary: string, options: Any | undefined) => Promise<RuntimeInfo>;
  readonly #kept = new Map<string, Kept>();

  /** `ask` runs the binary with `-info`. */
  constructor(ask: (binary: string, options: Any | undefined) => Promise<RuntimeInfo>) {
    this.#ask = ask;
  }

  /** Throws UNKNOWN where the binary cannot say. */
  async get(binary: string, options: Any | undefined): Promise<RuntimeInfo> {
    const key = JSON.stringify([binary, options?.typeUrl ?? '', Buffer.from(options?.value ?? []).toString('base64')]);
    const modified = await stat(binary).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
    const known = this.#kept.get(key);
    if (known?.modified === modified && Date.now() - known.at < keepFor) return known.info;
    if (this.#kept.size >= maxKept) this.#kept.clear();
    const entry = { modified, at: Date.now(), info: this.#ask(binary, options) };
    this.#kept.set(key, entry);
    entry.info.catch(() => {
      if (this.#kept.get(key) === entry) this.#kept.delete(key);
    });
    return entry.info;
  }

  /**
   * Throws UNIMPLEMENTED unless the runtime says that it maps the owners of mounts: one that cannot would ignore it, and
   * give the container files that are not its own.
   */
  async assertMapsMounts(binary: string, options: Any | undefined): Promise<void> {
    let why = 'its features lack linux.mountExtensions.idmap';
    try {
      if (mapsMounts((await this.get(binary, options)).features)) return;
    } catch (error) {
      if (hasCode(error, 'DEADLINE_EXCEEDED', 'UNAVAILABLE', 'CANCELLED')) throw error;
      why = `it does not tell its features: ${TaskError.from(error).message}`;
    }
    throw unimplemented(
      `the spec has id-mapped mounts, which the runtime of ${binary} does not support (${why}): ` +
        'use a newer runtime, or mounts without uidMappings and gidMappings: not implemented',
    );
  }
}

/** Reads runc's features, an `Any` of JSON as runtimes print it for `features`. Pure. */
export function mapsMounts(features: Any | undefined): boolean {
  if (features === undefined) return false;
  try {
    let value: unknown = JSON.parse(Buffer.from(features.value).toString('utf8'));
    for (const name of ['linux', 'mountExtensions', 'idmap', 'enabled']) {
      if (typeof value !== 'object' || value === null) return false;
      value = Reflect.get(value, name);
    }
    return value === true;
  } catch {
    return false;
  }
}
