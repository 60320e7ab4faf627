import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

const capabilities = ['CAP_KILL', 'CAP_SETUID', 'CAP_SETGID', 'CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_SYS_CHROOT'];

function containerProcess(script) {
  return {
    terminal: false,
    user: { uid: 0, gid: 0 },
    args: ['/bin/sh', '-c', script],
    env: ['PATH=/bin'],
    cwd: '/',
    capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    noNewPrivileges: true,
  };
}

/** Of Debian's shims for runc only 1.7's serves sandboxes. */
const servesSandboxes = (version) => version.startsWith('1.7.');

/** A runc shim by its path, and the specs of busybox containers. */
function runcRuntime({ shim, version }, rootfs) {
  return {
    name: shim,
    /** Whether it has sandboxes, and whether they can have a process of their own. */
    sandboxes: { served: servesSandboxes(version), withProcess: false },
    process: containerProcess,
    /** To be mounted by the shim where a container is to have its root in its bundle. */
    rootfs: [{ type: 'bind', source: rootfs, options: ['rbind', 'ro'] }],
    spec: (script, { cgroup, isMounted }) => ({
      ociVersion: '1.0.2',
      process: containerProcess(script),
      root: { path: isMounted ? 'rootfs' : rootfs, readonly: true },
      hostname: 'chaos',
      mounts: [
        { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
        { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=65536k'] },
      ],
      linux: {
        cgroupsPath: cgroup,
        namespaces: [{ type: 'pid' }, { type: 'ipc' }, { type: 'uts' }, { type: 'mount' }],
      },
    }),
  };
}

function hostProcess(script) {
  return { args: ['/bin/sh', '-c', script], cwd: '/', env: ['PATH=/usr/bin:/bin'] };
}

/** The embedded runtime, which isolates nothing. */
function embeddedRuntime(build) {
  return {
    name: path.join(build, 'bin/containerd-shim-process-v1'),
    sandboxes: { served: true, withProcess: true },
    process: hostProcess,
    rootfs: [],
    spec: (script) => ({ ociVersion: '1.0.2', process: hostProcess(script) }),
  };
}

/** What there is to run tasks with: every generation of the runc shim in the cache, and the embedded runtime. */
export function findRuntimes(repository, build) {
  const embedded = embeddedRuntime(build);
  const manifest = path.join(repository, '.cache/runtimes/manifest.json');
  const { generations = [], runc, rootfs } = existsSync(manifest) ? JSON.parse(readFileSync(manifest, 'utf8')) : {};
  if (process.getuid() !== 0 || !runc || !rootfs) {
    return { list: [embedded], path: '', about: 'the embedded runtime only' };
  }
  const versions = generations.map(({ version }) => version).join(', ');
  return {
    list: [embedded, ...generations.map((generation) => runcRuntime(generation, rootfs))],
    path: path.dirname(runc.path),
    about: `the embedded runtime and runc shims ${versions}`,
  };
}
