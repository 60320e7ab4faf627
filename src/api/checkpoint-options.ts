import path from 'node:path';
import { invalidArgument, unimplemented } from '../shared/errors/index.ts';
import { containerd } from '../shared/proto/gen/task.js';
import { type Any, isTypeUrl, typeUrls } from '../shared/wire/any.ts';

const runc = containerd.runc.v1;
/** Longest path; the kernel takes no longer one. */
const maxPathLength = 4095;
/** Annotation of a checkpoint's descriptor that names a directory instead of content. */
const restoreFromPath = 'RestoreFromPath';
/** Changes to the root file system, beside the directory of a checkpoint. */
export const rootfsDiffName = 'rootfs-diff.tar';

/**
 * The directory that a request's checkpoint descriptor names; empty where it has no descriptor. Throws UNIMPLEMENTED for one that
 * stands for content.
 */
export function checkpointDirectory(request: {
  readonly containerId: string;
  readonly checkpoint?: { readonly annotations?: Readonly<Record<string, string>> | null } | null;
}): string {
  if (!request.checkpoint) return '';
  const directory = request.checkpoint.annotations?.[restoreFromPath] ?? '';
  if (directory === '') {
    throw unimplemented(
      `create of task ${request.containerId} from a checkpoint image: shimd keeps no images, restore from a directory: not implemented`,
    );
  }
  return absolute('the directory of a checkpoint', directory);
}

/** The directory to restore from that runc's options name; empty where they name none. Throws INVALID_ARGUMENT. */
export function restorePath(options: Any | undefined): string {
  if (!options || !isTypeUrl(options.typeUrl, typeUrls.runcOptions)) return '';
  const directory = decode(options, (bytes) => runc.Options.decode(bytes).criuImagePath);
  return directory === '' ? '' : absolute('criu_image_path', directory);
}

/** Whether a checkpoint is to end the task. Of options that `checkpointPath` has read. */
export function checkpointEnds(options: Any | undefined): boolean {
  if (!options || !isTypeUrl(options.typeUrl, typeUrls.runcCheckpointOptions)) return false;
  return runc.CheckpointOptions.decode(options.value).exit;
}

/** The directory to write a checkpoint to. Throws INVALID_ARGUMENT, UNIMPLEMENTED where the request names none. */
export function checkpointPath(options: Any | undefined): string {
  const directory =
    options && isTypeUrl(options.typeUrl, typeUrls.runcCheckpointOptions)
      ? decode(options, (bytes) => runc.CheckpointOptions.decode(bytes).imagePath)
      : '';
  if (directory === '') {
    throw unimplemented(
      'checkpoint without an image path: shimd keeps no images, give a directory as image path: not implemented',
    );
  }
  return absolute('the image path', directory);
}

function absolute(what: string, directory: string): string {
  if (path.isAbsolute(directory) && !directory.includes('\0') && directory.length <= maxPathLength) {
    return path.resolve(directory);
  }
  throw invalidArgument(`${what} ${JSON.stringify(directory.slice(0, 256))} is no absolute path: invalid argument`);
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
