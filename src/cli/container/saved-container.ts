import { readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { isErrnoException } from '../../shared/errors/index.ts';
import type { Spec } from '../../shared/oci/spec.ts';
import { parseSpec } from './parse-spec.ts';

/** In the directory of a checkpoint, beside criu's files: what a restore has to know of the container. */
const fileName = 'shimd.json';

export interface SavedContainer {
  readonly id: string;
  readonly runtime: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: Spec;
  /** The task had a terminal. */
  readonly terminal: boolean;
}

/** Written last, and whole: a directory that has it holds a whole checkpoint. */
export async function saveContainer(directory: string, container: SavedContainer): Promise<void> {
  const file = path.join(directory, fileName);
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, `${JSON.stringify(container)}\n`, { mode: 0o600 });
  await rename(temporary, file);
}

/** Throws an Error that says what is wrong with the directory. */
export async function readSavedContainer(directory: string): Promise<SavedContainer> {
  const file = path.join(directory, fileName);
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    const isMissing = isErrnoException(error) && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
    const why = isMissing ? "no whole checkpoint of 'shimd checkpoint'" : String(error);
    throw new Error(`${directory}: ${why}`, { cause: error });
  });
  const value: unknown = JSON.parse(text);
  const from: Readonly<Record<string, unknown>> = typeof value === 'object' && value !== null ? { ...value } : {};
  const labels: unknown = from['labels'];
  return {
    id: String(from['id']),
    runtime: String(from['runtime']),
    labels: Object.fromEntries(
      Object.entries(typeof labels === 'object' && labels !== null ? labels : {}).map(([key, label]) => [
        key,
        String(label),
      ]),
    ),
    spec: parseSpec(JSON.stringify(from['spec']), file),
    terminal: from['terminal'] === true,
  };
}
