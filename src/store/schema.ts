import { failedPrecondition, TaskError } from '../shared/errors/index.ts';
import type { Environment } from './environment.ts';
import { keyOf } from './keys.ts';

/** Brings a database from the version before to this one; runs inside a transaction of its own. */
export interface Migration {
  readonly to: number;
  readonly name: string;
  run(environment: Environment): void;
}

/** In order and without gaps; never edited once released. The first version is an empty database. */
export const migrations: readonly Migration[] = [{ to: 1, name: 'first version', run: () => undefined }];

/** Holds what is true of the database as a whole. */
export const metaTable = 'meta';
const versionKey = keyOf('schema');

/**
 * Runs the migrations that a database has not had yet; each is committed together with the version it leads to.
 * Throws FAILED_PRECONDITION for a database of a newer shimd, which is left as it is.
 */
export function migrate(environment: Environment, steps: readonly Migration[] = migrations): void {
  const meta = environment.table(metaTable);
  const latest = steps.at(-1)?.to ?? 0;
  const found = readVersion(environment);
  if (found > latest) {
    throw failedPrecondition(
      `the metadata database has schema version ${found}, this shimd knows up to ${latest}: start the newer shimd that wrote it, or move the database away: failed precondition`,
    );
  }
  for (const step of steps) {
    if (step.to <= found) continue;
    environment.write(1, () => {
      step.run(environment);
      meta.putSync(versionKey, Buffer.from(String(step.to)));
    });
  }
}

function readVersion(environment: Environment): number {
  const stored = environment.table(metaTable).get(versionKey);
  if (stored === undefined) return 0;
  const version = Number(stored.toString());
  if (!Number.isInteger(version) || version < 0) {
    throw new TaskError('DATA_LOSS', 'the schema version of the metadata database is damaged: data loss');
  }
  return version;
}
