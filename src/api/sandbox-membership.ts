import path from 'node:path';
import { invalidArgument, unimplemented } from '../shared/errors/index.ts';
import { type Namespace, parseSandboxId } from '../shared/identifiers.ts';
import type { ShimAddress } from '../shared/messages/shim.ts';
import { containerd } from '../shared/proto/gen/task.js';
import { socketPathOf } from '../shared/ttrpc/address.ts';
import { type Any, isTypeUrl, typeUrls } from '../shared/wire/any.ts';
import type { SandboxStore } from '../store/index.ts';
import type { SandboxMembership } from './task-manager.ts';

interface Endpoint {
  readonly taskApiAddress: string;
  readonly taskApiVersion: number;
}

/**
 * What a task's container and its request say of its sandbox; undefined for a task without one. Throws INVALID_ARGUMENT
 * for an id or an address that is none.
 */
export function membershipOf(
  namespace: Namespace,
  sandbox: string,
  request: Endpoint,
  options: Any | undefined,
  sandboxes: Pick<SandboxStore, 'find'>,
): SandboxMembership | undefined {
  if (sandbox === '') return undefined;
  const id = parseSandboxId(sandbox);
  const isKnown = sandboxes.find(namespace, id) !== undefined;
  const { taskApiAddress, taskApiVersion } = request.taskApiAddress === '' ? fromOptions(options) : request;
  return taskApiAddress === '' ? { id, isKnown } : { id, isKnown, at: parseAddress(taskApiAddress, taskApiVersion) };
}

const none: Endpoint = { taskApiAddress: '', taskApiVersion: 0 };

/** Older clients give the address in runc's options. */
function fromOptions(options: Any | undefined): Endpoint {
  if (options === undefined || !isTypeUrl(options.typeUrl, typeUrls.runcOptions)) return none;
  try {
    const { taskApiAddress, taskApiVersion } = containerd.runc.v1.Options.decode(options.value);
    return { taskApiAddress, taskApiVersion };
  } catch {
    // Whoever reads the options as a whole says what is wrong with them.
    return none;
  }
}

/** Parses the address of a sandbox's shim, `ttrpc+unix:///run/x.sock`. Throws INVALID_ARGUMENT, UNIMPLEMENTED. */
export function parseAddress(text: string, version: number): ShimAddress {
  const [, protocol, scheme, rest = ''] = /^([a-z]+)\+([a-z]+):\/\/(.*)$/.exec(text) ?? [];
  if ((protocol !== 'ttrpc' && protocol !== 'grpc') || scheme === undefined) {
    throw invalidArgument(
      `the sandbox address ${JSON.stringify(text.slice(0, 256))} is not of the form <protocol>+<scheme>://<place>, such as ttrpc+unix:///run/x.sock: invalid argument`,
    );
  }
  if (scheme !== 'unix') {
    throw unimplemented(`the sandbox address ${text.slice(0, 256)}: only unix sockets are dialled: not implemented`);
  }
  if (!path.isAbsolute(rest) || rest.includes('\0')) {
    throw invalidArgument(
      `the sandbox address ${JSON.stringify(text.slice(0, 256))} has no absolute path: invalid argument`,
    );
  }
  if (version !== 0 && version !== 2 && version !== 3) {
    throw unimplemented(`version ${version} of the task API, at ${text}: only 2 and 3 are spoken: not implemented`);
  }
  const address = `unix://${rest}`;
  // Throws where the path is too long for a socket.
  socketPathOf(address);
  // A shim that turns out not to know version 3 is spoken to in version 2.
  return { address, protocol, apiVersion: version === 2 ? 2 : 3 };
}
