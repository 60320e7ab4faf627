import { containerd, google } from '../proto/gen/services.js';
import { unary } from './method.ts';

const service = 'containerd.services.version.v1.Version';
const v1 = containerd.services.version.v1;

/** The daemon's version, containerd's way: `containerd.services.version.v1.Version`. */
export const versionDefinition = {
  version: unary(service, 'Version', google.protobuf.Empty, v1.VersionResponse),
};
