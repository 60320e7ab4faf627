import { versionDefinition } from '../shared/grpc/index.ts';
import { type Service, unary } from './binding.ts';

export interface VersionInfo {
  readonly version: string;
  /** Of the source code; empty where it is not known. */
  readonly revision: string;
}

/** `containerd.services.version.v1.Version`: shimd's own version. */
export function versionService({ version, revision }: VersionInfo): Service<typeof versionDefinition> {
  return {
    version: unary(versionDefinition.version, () => ({ version, revision })),
  };
}
