import type { SandboxId } from '../shared/identifiers.ts';
import { containerd } from '../shared/proto/gen/services.js';
import { type Any, plainAny, wireAny } from '../shared/wire/any.ts';
import { plainTimestamp, type Timestamp, timestampOf } from '../shared/wire/timestamp.ts';

/** What a client says of a sandbox. */
export interface SandboxDescription {
  readonly id: SandboxId;
  readonly labels: Readonly<Record<string, string>>;
  readonly runtime: { readonly name: string; readonly options?: Any | undefined };
  /** The OCI spec; some sandboxes have none. */
  readonly spec?: Any | undefined;
  readonly extensions: Readonly<Record<string, Any>>;
  /** The controller that runs it, by name; empty where the client named none. */
  readonly sandboxer: string;
}

export interface SandboxEntry extends SandboxDescription {
  readonly createdAt: Timestamp;
  readonly updatedAt: Timestamp;
}

const Message = containerd.types.Sandbox;
const emptyAny: Any = { typeUrl: '', value: new Uint8Array() };

/** The stored form is containerd's own message. */
export function encodeSandbox({ id, ...sandbox }: SandboxEntry): Uint8Array {
  return Message.encode({
    ...sandbox,
    sandboxId: id,
    labels: { ...sandbox.labels },
    runtime: { name: sandbox.runtime.name, options: wireAny(sandbox.runtime.options) ?? null },
    spec: wireAny(sandbox.spec) ?? null,
    extensions: Object.fromEntries(Object.entries(sandbox.extensions).map(([key, value]) => [key, wireAny(value)])),
  }).finish();
}

/** `id` is the key's: it was parsed when the sandbox was stored. */
export function decodeSandbox(id: SandboxId, bytes: Uint8Array): SandboxEntry {
  // Decoded bytes are views into the buffer, which is LMDB's.
  const message = Message.decode(Uint8Array.from(bytes));
  return {
    id,
    labels: { ...message.labels },
    runtime: { name: message.runtime?.name ?? '', options: plainAny(message.runtime?.options) },
    spec: plainAny(message.spec),
    extensions: Object.fromEntries(
      Object.entries(message.extensions).map(([key, value]) => [key, plainAny(value) ?? emptyAny]),
    ),
    sandboxer: message.sandboxer,
    createdAt: plainTimestamp(message.createdAt) ?? timestampOf(0),
    updatedAt: plainTimestamp(message.updatedAt) ?? timestampOf(0),
  };
}
