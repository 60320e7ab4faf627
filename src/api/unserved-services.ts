import type { ServerDuplexStream } from '@grpc/grpc-js';
import { unimplemented } from '../shared/errors/index.ts';
import type { Binding } from './binding.ts';
import { statusOf } from './status.ts';

/** Services of containerd that its clients may ask for and that are not served, with what to do instead. */
const services: Readonly<Record<string, { readonly methods: string; readonly hint: string }>> = {
  'containerd.services.content.v1.Content': {
    methods: 'Info Update List Delete Read Status ListStatuses Write Abort',
    hint: 'shimd keeps no image content',
  },
  'containerd.services.diff.v1.Diff': { methods: 'Apply Diff', hint: 'shimd keeps no image content' },
  'containerd.services.images.v1.Images': {
    methods: 'Get List Create Update Delete',
    hint: 'shimd keeps no images, run a container from a root file system (ctr run --rootfs)',
  },
  'containerd.services.mounts.v1.Mounts': {
    methods: 'Activate Deactivate Info Update List',
    hint: 'give the mounts with the task',
  },
  'containerd.services.snapshots.v1.Snapshots': {
    methods: 'Prepare View Mounts Commit Remove Stat Update List Usage Cleanup',
    hint: 'shimd keeps no snapshots, give the mounts with the task or use --rootfs',
  },
  'containerd.services.streaming.v1.Streaming': { methods: 'Stream', hint: 'it serves image transfers only' },
  'containerd.services.transfer.v1.Transfer': { methods: 'Transfer', hint: 'shimd keeps no images' },
};

/** Answers UNIMPLEMENTED for them, and says why. */
export const unservedServices: readonly Binding[] = Object.entries(services).flatMap(([service, { methods, hint }]) =>
  methods
    .split(' ')
    .map((method) => unserved(`/${service}/${method}`, `${service} is not served: ${hint}: not implemented`)),
);

/** Bound as a stream in both directions, which any kind of call can be read as; nothing is decoded. */
function unserved(path: string, message: string): Binding {
  const status = statusOf(unimplemented(message));
  return ({ server }) => {
    server.register<Buffer, Buffer>(
      path,
      (call: ServerDuplexStream<Buffer, Buffer>) => call.emit('error', status),
      (bytes) => bytes,
      (bytes) => bytes,
      'bidi',
    );
  };
}
