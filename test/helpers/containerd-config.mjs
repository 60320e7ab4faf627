/** What a task service needs none of; containerd is run without it. A name that a version does not have is no error. */
const unneeded = [
  'io.containerd.cri.v1.images',
  'io.containerd.cri.v1.runtime',
  'io.containerd.differ.v1.erofs',
  'io.containerd.grpc.v1.cri',
  'io.containerd.image-verifier.v1.bindir',
  'io.containerd.internal.v1.opt',
  'io.containerd.internal.v1.restart',
  'io.containerd.internal.v1.tracing',
  'io.containerd.nri.v1.nri',
  'io.containerd.podsandbox.controller.v1.podsandbox',
  'io.containerd.snapshotter.v1.blockfile',
  'io.containerd.snapshotter.v1.btrfs',
  'io.containerd.snapshotter.v1.devmapper',
  'io.containerd.snapshotter.v1.erofs',
  'io.containerd.snapshotter.v1.overlayfs',
  'io.containerd.snapshotter.v1.zfs',
  'io.containerd.tracing.processor.v1.otlp',
];

/** Configuration of a containerd of its own, with all that is its in `directory`, that serves at `socket`. */
export function containerdConfig(directory, socket) {
  return [
    'version = 2',
    `root = "${directory}/root"`,
    `state = "${directory}/state"`,
    `temp = "${directory}/tmp"`,
    `disabled_plugins = ${JSON.stringify(unneeded)}`,
    `[grpc]\n  address = "${socket}"`,
    `[ttrpc]\n  address = "${socket}.ttrpc"`,
  ].join('\n');
}
