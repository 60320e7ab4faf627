import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { typeUrls, wireAny } from '../../src/shared/wire/any.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { combinations, haveRuntimes } from '../helpers/runtimes.ts';
import { busyboxSpec, jsonAny } from '../helpers/spec.ts';
import {
  addExec,
  createContainer,
  createTask,
  deleteContainer,
  endTask,
  launch,
  rootfs,
  startTask,
  waitTask,
} from '../helpers/tasks.ts';
import { runDirectory } from '../helpers/test-run.ts';
import { newest } from './lib/choices.ts';

const hostRoot = 100_000;
const nobody = 65_534;
const size = 65_536;
const mappings = [{ containerID: 0, hostID: hostRoot, size }];

/** Kernels can be built, and set, so that there are none. */
const haveUserNamespaces =
  existsSync('/proc/self/ns/user') && spawnSync('unshare', ['--user', 'true']).status === 0 && process.getuid?.() === 0;

/** A container whose root is nobody on the host, with its rootfs where the shim mounts it: in the bundle. */
function mappedSpec(daemon: Daemon, id: string, args: readonly string[]) {
  const spec = Object.fromEntries(
    Object.entries(busyboxSpec({ id: `${daemon.namespace}/${id}`, args, rootfs: 'rootfs' })),
  );
  const linux = {
    ...Object.fromEntries(Object.entries(spec['linux'] ?? {})),
    namespaces: ['pid', 'ipc', 'uts', 'mount', 'user'].map((type) => ({ type })),
    uidMappings: mappings,
    gidMappings: mappings,
  };
  return wireAny(jsonAny(typeUrls.spec, { ...spec, linux }));
}

const mounted = [{ type: 'bind', source: rootfs, target: '', options: ['rbind', 'ro'] }];

/** Whether another user can connect to a socket. */
function reaches(uid: number, socket: string): boolean {
  const script =
    'require("net").connect(process.argv[1]).on("connect", () => process.exit(0)).on("error", () => process.exit(3))';
  return spawnSync(process.execPath, ['-e', script, socket], { uid, gid: uid, cwd: '/' }).status === 0;
}

describe.skipIf(!haveRuntimes || !haveUserNamespaces).each(combinations)(
  'a container in a user namespace with $title',
  ({ generation, placement }) => {
    let daemon: Daemon;

    afterEach(() => daemon?.[Symbol.asyncDispose]());

    test('reaches its root file system, and nobody else its bundle or a socket', async () => {
      daemon = await Daemon.start({ generation, placement });
      // The tests' own directories are closed; those of a real state directory are not.
      for (const directory of [runDirectory, daemon.directory]) chmodSync(directory, 0o711);
      const pid = await launch(daemon, 'mapped', {
        spec: mappedSpec(daemon, 'mapped', ['sleep', '3600']),
        task: { rootfs: mounted },
      });
      expect(readFileSync(`/proc/${pid}/uid_map`, 'utf8').trim().split(/\s+/)).toEqual(['0', `${hostRoot}`, `${size}`]);
      await addExec(daemon, 'mapped', 'inner', ['sh', '-c', 'test "$(id -u)" = 0 && test -x /bin/busybox']);
      await startTask(daemon, 'mapped', 'inner');
      expect(await waitTask(daemon, 'mapped', 'inner')).toEqual({ status: 0 });

      const bundle = statSync(path.join(daemon.state, daemon.namespace, 'mapped'));
      expect([bundle.uid, bundle.gid, bundle.mode & 0o777]).toEqual([0, hostRoot, 0o710]);
      for (const directory of [daemon.state, path.join(daemon.state, daemon.namespace)]) {
        expect(statSync(directory).mode & 0o777).toBe(0o711);
      }
      const sockets = [daemon.socket, path.join(daemon.state, 'events.sock'), ...daemon.shimSockets()];
      for (const uid of [hostRoot, nobody]) {
        expect(sockets.filter((socket) => reaches(uid, socket))).toEqual([]);
        expect(spawnSync('ls', [daemon.state], { uid, gid: uid, cwd: '/' }).status).not.toBe(0);
      }
      expect(sockets.every((socket) => reaches(0, socket))).toBe(true);
      expect(
        spawnSync('ls', [path.join(daemon.state, daemon.namespace, 'mapped', 'rootfs')], {
          uid: nobody,
          gid: nobody,
          cwd: '/',
        }).status,
      ).not.toBe(0);
      // Whatever else lies beside the bundles is closed, or a socket of mode 0600.
      for (const name of readdirSync(daemon.state)) {
        const mode = statSync(path.join(daemon.state, name)).mode & 0o777;
        expect({ name, open: name === daemon.namespace ? 0 : mode & 0o077 }).toEqual({ name, open: 0 });
      }
      await endTask(daemon, 'mapped');
      expect(await daemon.settled()).toEqual(nothingLeft);
    });
  },
);

describe.skipIf(!haveRuntimes || !haveUserNamespaces).each(newest)(
  'id-mapped mounts with $title',
  ({ generation, placement }) => {
    let daemon: Daemon;

    afterEach(() => daemon?.[Symbol.asyncDispose]());

    test('are refused where the runtime lacks them, before anything is made', async () => {
      daemon = await Daemon.start({ generation, placement });
      const mounts = [
        { destination: '/proc', type: 'proc', source: 'proc' },
        {
          destination: '/data',
          type: 'bind',
          source: daemon.directory,
          options: ['bind'],
          uidMappings: mappings,
          gidMappings: mappings,
        },
      ];
      const spec = busyboxSpec({ id: `${daemon.namespace}/idmap`, args: ['true'], more: { mounts } });
      await createContainer(daemon, 'idmap', { spec: wireAny(jsonAny(typeUrls.spec, spec)) });
      const failure = await failureOf(createTask(daemon, 'idmap'));
      // runc has them since 1.2.
      expect(failure).toMatchObject({ code: 'UNIMPLEMENTED', message: expect.stringMatching(/id-mapped mounts/) });
      await deleteContainer(daemon, 'idmap');
      expect(await daemon.settled()).toEqual(nothingLeft);
    });
  },
);
