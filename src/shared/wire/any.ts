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

/** An Any as the generated code decodes and encodes it: protobufjs brings its own definition, which keeps `type_url`. */
interface GeneratedAny {
  readonly type_url?: string | null;
  readonly typeUrl?: string | null;
  readonly value?: Uint8Array | null;
}

/** The plain form of a decoded message's Any; undefined where it was absent or says nothing. */
export function plainAny(any: GeneratedAny | null | undefined): Any | undefined {
  const typeUrl = any?.type_url || any?.typeUrl;
  if (!typeUrl) return undefined;
  return { typeUrl, value: any.value ?? new Uint8Array() };
}

/**
 * An Any for the generated `encode`. Never hand a plain one to it: the compiler lets it pass and the type URL is
 * silently left out.
 */
export function wireAny(any: Any): { type_url: string; value: Uint8Array };
export function wireAny(any: Any | undefined): { type_url: string; value: Uint8Array } | undefined;
export function wireAny(any: Any | undefined): { type_url: string; value: Uint8Array } | undefined {
  return any && { type_url: any.typeUrl, value: any.value };
}
