import { invalidArgument } from '../shared/errors/index.ts';
import { parseSandboxId } from '../shared/identifiers.ts';
import type { containerd } from '../shared/proto/gen/services.js';
import { plainAny, wireAny } from '../shared/wire/any.ts';
import type { SandboxDescription, SandboxEntry } from '../store/index.ts';
import { checkLabels } from './labels.ts';

type Message = containerd.types.Sandbox.$Properties;

/** Reads a request's sandbox. Throws INVALID_ARGUMENT where there is none, or for a bad id. */
export function readSandbox(message: Message | null | undefined): SandboxDescription {
  if (!message) throw invalidArgument('sandbox must be set: invalid argument');
  return {
    id: parseSandboxId(message.sandboxId ?? ''),
    labels: { ...message.labels },
    runtime: { name: message.runtime?.name ?? '', options: plainAny(message.runtime?.options) },
    spec: plainAny(message.spec),
    extensions: Object.fromEntries(
      Object.entries(message.extensions ?? {}).map(([key, value]) => [
        key,
        plainAny(value) ?? { typeUrl: '', value: new Uint8Array() },
      ]),
    ),
    sandboxer: message.sandboxer ?? '',
  };
}

/** Checks that a sandbox can be stored. Throws INVALID_ARGUMENT. */
export function checkSandbox(sandbox: SandboxDescription): SandboxDescription {
  if ('' in sandbox.extensions)
    throw invalidArgument('sandbox.Extension keys must not be zero-length: invalid argument');
  checkLabels(sandbox.labels, 'sandboxes.Labels');
  return sandbox;
}

export function writeSandbox(sandbox: SandboxEntry): Message {
  const { name, options } = sandbox.runtime;
  return {
    sandboxId: sandbox.id,
    labels: { ...sandbox.labels },
    runtime: { name, options: wireAny(options) ?? null },
    spec: wireAny(sandbox.spec) ?? null,
    createdAt: sandbox.createdAt,
    updatedAt: sandbox.updatedAt,
    extensions: Object.fromEntries(Object.entries(sandbox.extensions).map(([key, value]) => [key, wireAny(value)])),
    sandboxer: sandbox.sandboxer,
  };
}
