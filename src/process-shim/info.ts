import { containerd } from '../shared/proto/gen/task.js';
import { isolationNotice, runtimeName, version } from './about.ts';

/** A serialized `containerd.types.RuntimeInfo`. */
export function runtimeInfo(): Uint8Array {
  return containerd.types.RuntimeInfo.encode({
    name: runtimeName,
    version: { version: version(), revision: '' },
    annotations: { 'io.shimd.process.isolation': 'none', 'io.shimd.process.notice': isolationNotice },
  }).finish();
}
