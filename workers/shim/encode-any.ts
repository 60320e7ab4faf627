import { google } from '../../src/shared/proto/gen/task.js';
import { type Any, wireAny } from '../../src/shared/wire/any.ts';

/** A serialized `Any`, as the actions of a shim's binary read options; empty where there are none. */
export function encodeAny(any: Any | undefined): Uint8Array {
  return any === undefined ? new Uint8Array() : google.protobuf.Any.encode(wireAny(any)).finish();
}
