import { invalidArgument } from '../shared/errors/index.ts';
import { parseTaskId } from '../shared/identifiers.ts';
import type { containerd } from '../shared/proto/gen/services.js';
import { plainAny, wireAny } from '../shared/wire/any.ts';
import type { Container, ContainerDescription } from '../store/index.ts';
import { checkLabels } from './labels.ts';

type Message = containerd.services.containers.v1.Container.$Properties;

/** What a request says of a container, without any checks beyond its id. */
export interface ContainerFields extends Omit<ContainerDescription, 'spec'> {
  readonly spec: ContainerDescription['spec'] | undefined;
}

/** Reads a request's container. Throws INVALID_ARGUMENT for a bad id. */
export function readContainer(message: Message | null | undefined): ContainerFields {
  if (!message) throw invalidArgument('container must be set: invalid argument');
  return {
    id: parseTaskId(message.id ?? ''),
    labels: { ...message.labels },
    image: message.image ?? '',
    runtime: { name: message.runtime?.name ?? '', options: plainAny(message.runtime?.options) },
    spec: plainAny(message.spec),
    snapshotter: message.snapshotter ?? '',
    snapshotKey: message.snapshotKey ?? '',
    extensions: Object.fromEntries(
      Object.entries(message.extensions ?? {}).map(([key, value]) => [
        key,
        plainAny(value) ?? { typeUrl: '', value: new Uint8Array() },
      ]),
    ),
    sandbox: message.sandbox ?? '',
  };
}

/** Checks that a container can be stored. Throws INVALID_ARGUMENT. */
export function checkContainer(fields: ContainerFields): ContainerDescription {
  const { spec } = fields;
  if ('' in fields.extensions)
    throw invalidArgument('container.Extension keys must not be zero-length: invalid argument');
  checkLabels(fields.labels, 'containers.Labels');
  if (fields.runtime.name === '') throw invalidArgument('container.Runtime.Name must be set: invalid argument');
  if (!spec) throw invalidArgument('container.Spec must be set: invalid argument');
  if (fields.snapshotKey !== '' && fields.snapshotter === '') {
    throw invalidArgument('container.Snapshotter must be set if container.SnapshotKey is set: invalid argument');
  }
  return { ...fields, spec };
}

export function writeContainer(container: Container): Message {
  const { name, options } = container.runtime;
  return {
    id: container.id,
    labels: { ...container.labels },
    image: container.image,
    runtime: { name, options: wireAny(options) ?? null },
    spec: wireAny(container.spec),
    snapshotter: container.snapshotter,
    snapshotKey: container.snapshotKey,
    createdAt: container.createdAt,
    updatedAt: container.updatedAt,
    extensions: Object.fromEntries(Object.entries(container.extensions).map(([key, value]) => [key, wireAny(value)])),
    sandbox: container.sandbox,
  };
}
