import path from 'node:path';
import { invalidArgument } from '../../src/shared/errors/index.ts';
import type { Directories } from '../../src/shared/layout.ts';
import { containerd } from '../../src/shared/proto/gen/task.js';
import { type Any, isTypeUrl, typeUrls } from '../../src/shared/wire/any.ts';

const { Options } = containerd.runc.v1;

/** Where runc keeps its state for this daemon's tasks; its own default would collide with a containerd on the host. */
const runcDirectory = '.runc';

/**
 * The options of a task for its shim: for runc's, `root` points below our state directory unless the client set it.
 * Throws INVALID_ARGUMENT for options that are not the runc shim's.
 */
export function taskOptions(binary: string, options: Any | undefined, directories: Directories): Any | undefined {
  if (!/^containerd-shim-runc-v\d+$/.test(path.basename(binary))) return options;
  const root = path.join(directories.state, runcDirectory);
  if (options === undefined || options.typeUrl === '')
    return { typeUrl: typeUrls.runcOptions, value: Options.encode({ root }).finish() };
  // Shims panic on options of any other type that they know.
  if (!isTypeUrl(options.typeUrl, typeUrls.runcOptions)) {
    throw invalidArgument(
      `runtime options of type ${options.typeUrl} are not for runc: use ${typeUrls.runcOptions}: invalid argument`,
    );
  }
  let given: string;
  try {
    given = Options.decode(options.value).root;
  } catch {
    throw invalidArgument(`the runtime options are no ${typeUrls.runcOptions}: invalid argument`);
  }
  if (given !== '') return options;
  // Serialized messages merge when joined: what this build does not know of the options stays in them.
  return { typeUrl: options.typeUrl, value: Buffer.concat([options.value, Options.encode({ root }).finish()]) };
}
