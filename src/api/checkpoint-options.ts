import { invalidArgument, unimplemented } from '../shared/errors/index.ts';
import { containerd } from '../shared/proto/gen/task.js';
import { type Any, isTypeUrl, typeUrls } from '../shared/wire/any.ts';

const runc = containerd.runc.v1;

/** The directory to restore from that runc's options name; empty where they name none. Throws INVALID_ARGUMENT. */
export function restorePath(options: Any | undefined): string {
  if (!options || !isTypeUrl(options.typeUrl, typeUrls.runcOptions)) return '';
  return decode(options, (bytes) => runc.Options.decode(bytes).criuImagePath);
}

/** The directory to write a checkpoint to. Throws INVALID_ARGUMENT, UNIMPLEMENTED where the request names none. */
export function checkpointPath(options: Any | undefined): string {
  const path =
    options && isTypeUrl(options.typeUrl, typeUrls.runcCheckpointOptions)
      ? decode(options, (bytes) => runc.CheckpointOptions.decode(bytes).imagePath)
      : '';
  if (path === '') {
    throw unimplemented(
      'checkpoint without an image path: shimd keeps no images, give a directory as image path: not implemented',
    );
  }
  return path;
}

function decode(options: Any, read: (bytes: Uint8Array) => string): string {
  try {
    return read(options.value);
  } catch (error) {
    throw invalidArgument(
      `the options are no ${options.typeUrl}: ${error instanceof Error ? error.message : String(error)}: invalid argument`,
    );
  }
}
