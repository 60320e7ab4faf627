import { anyOf, type Json, jsonOfAny, mountsOf, objectOf, textOf } from '../shared/json-fields.ts';
import type { Mount } from '../shared/messages/index.ts';
import type { Any } from '../shared/wire/any.ts';

/** How a client had the task made: what a restart does again. */
export interface Launch {
  readonly runtime: string;
  readonly rootfs: readonly Mount[];
  readonly options?: Any | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

/** One restart, written down before anything is done for it: a daemon that dies in its middle is finished by the next. */
export interface Attempt {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Restarts in a row, this one included, without a healthy run between them. */
  readonly row: number;
  /** Pid of the ended task that it replaces; 0 where there was none. */
  readonly replaces: number;
  /** It was not seen to its end: the task that it makes does not run yet, or the attempt failed. */
  readonly open: boolean;
}

/** What the daemon knows of a service, in an extension of its container: goes with it, and outlives the daemon. */
export interface RestartRecord {
  readonly launch?: Launch | undefined;
  readonly attempt?: Attempt | undefined;
  /** Why the latest attempt failed. */
  readonly error?: string | undefined;
}

const typeUrl = 'io.shimd.restart/1';

export function encodeRecord(record: RestartRecord): Any {
  const { launch } = record;
  const options = launch?.options && jsonOfAny(launch.options);
  const json = { ...record, ...(launch === undefined ? {} : { launch: { ...launch, options } }) };
  return { typeUrl, value: Buffer.from(JSON.stringify(json)) };
}

const countOf = (value: unknown): number => (Number.isSafeInteger(value) && Number(value) >= 0 ? Number(value) : 0);

/** Clients can write extensions: what is no record is taken for an empty one. */
export function decodeRecord(extension: Any | undefined): RestartRecord {
  if (extension === undefined || extension.typeUrl !== typeUrl) return {};
  let from: Json;
  try {
    from = objectOf(JSON.parse(Buffer.from(extension.value).toString('utf8')));
  } catch {
    return {};
  }
  const attempt = objectOf(from['attempt']);
  return {
    ...(from['launch'] === undefined ? {} : { launch: launchOf(objectOf(from['launch'])) }),
    ...(countOf(attempt['at']) === 0
      ? {}
      : {
          attempt: {
            at: countOf(attempt['at']),
            row: countOf(attempt['row']),
            replaces: countOf(attempt['replaces']),
            open: attempt['open'] === true,
          },
        }),
    ...(typeof from['error'] === 'string' ? { error: from['error'] } : {}),
  };
}

function launchOf(from: Json): Launch {
  const options = anyOf(from['options']);
  return {
    runtime: textOf(from['runtime']),
    rootfs: mountsOf(from['rootfs']),
    ...(options === undefined ? {} : { options }),
    stdout: textOf(from['stdout']),
    stderr: textOf(from['stderr']),
    terminal: from['terminal'] === true,
  };
}
