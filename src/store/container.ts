import type { Namespace, TaskId } from '../shared/identifiers.ts';
import { containerd } from '../shared/proto/gen/services.js';
import { type Any, plainAny, wireAny } from '../shared/wire/any.ts';
import { plainTimestamp, type Timestamp, timestampOf } from '../shared/wire/timestamp.ts';

/** What a client says of a container. */
export interface ContainerDescription {
  readonly id: TaskId;
  readonly labels: Readonly<Record<string, string>>;
  readonly image: string;
  readonly runtime: { readonly name: string; readonly options?: Any | undefined };
  /** The OCI spec. */
  readonly spec: Any;
  readonly snapshotter: string;
  readonly snapshotKey: string;
  readonly extensions: Readonly<Record<string, Any>>;
  /** Empty where the container belongs to no sandbox. */
  readonly sandbox: string;
}

export interface Container extends ContainerDescription {
  readonly createdAt: Timestamp;
  readonly updatedAt: Timestamp;
}

export interface ContainerRef {
  readonly namespace: Namespace;
  readonly container: TaskId;
}

const Message = containerd.services.containers.v1.Container;

/** The stored form is containerd's own message. */
export function encodeContainer(container: Container): Uint8Array {
  return Message.encode({
    ...container,
    labels: { ...container.labels },
    runtime: { name: container.runtime.name, options: wireAny(container.runtime.options) ?? null },
    spec: wireAny(container.spec),
    extensions: Object.fromEntries(Object.entries(container.extensions).map(([key, value]) => [key, wireAny(value)])),
  }).finish();
}

/** `id` is the key's: it was parsed when the container was stored. */
export function decodeContainer(id: TaskId, bytes: Uint8Array): Container {
  // Decoded bytes are views into the buffer, which is LMDB's.
  const message = Message.decode(Uint8Array.from(bytes));
  return {
    id,
    labels: { ...message.labels },
    image: message.image,
    runtime: { name: message.runtime?.name ?? '', options: plainAny(message.runtime?.options) },
    spec: plainAny(message.spec) ?? { typeUrl: '', value: new Uint8Array() },
    snapshotter: message.snapshotter,
    snapshotKey: message.snapshotKey,
    createdAt: plainTimestamp(message.createdAt) ?? timestampOf(0),
    updatedAt: plainTimestamp(message.updatedAt) ?? timestampOf(0),
    extensions: Object.fromEntries(
      Object.entries(message.extensions).map(([key, value]) => [key, plainAny(value) ?? emptyAny]),
    ),
    sandbox: message.sandbox,
  };
}

const emptyAny: Any = { typeUrl: '', value: new Uint8Array() };
