/** `google.protobuf.Any`, as shimd passes it on: bytes that it does not look into. */
export interface Any {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

/** Type URLs of what shimd looks into or makes. containerd uses none of the host prefixes that protobuf suggests. */
export const typeUrls = {
  runcOptions: 'containerd.runc.v1.Options',
  runcCheckpointOptions: 'containerd.runc.v1.CheckpointOptions',
  runcProcessDetails: 'containerd.runc.v1.ProcessDetails',
  runtimeOptions: 'runtimeoptions.v1.Options',
  spec: 'types.containerd.io/opencontainers/runtime-spec/1/Spec',
  process: 'types.containerd.io/opencontainers/runtime-spec/1/Process',
  linuxResources: 'types.containerd.io/opencontainers/runtime-spec/1/LinuxResources',
  features: 'types.containerd.io/opencontainers/runtime-spec/1/features/Features',
} as const;

/** Compares a type URL with one of ours, with or without the `type.googleapis.com/` that some clients prepend. */
export function isTypeUrl(typeUrl: string, expected: string): boolean {
  const prefix = 'type.googleapis.com/';
  return (typeUrl.startsWith(prefix) ? typeUrl.slice(prefix.length) : typeUrl) === expected;
}

/** The plain form of a decoded message's Any; undefined where it was absent or says nothing. */
export function plainAny(
  any: { readonly typeUrl?: string | null; readonly value?: Uint8Array | null } | null | undefined,
): Any | undefined {
  if (!any?.typeUrl) return undefined;
  return { typeUrl: any.typeUrl, value: any.value ?? new Uint8Array() };
}
