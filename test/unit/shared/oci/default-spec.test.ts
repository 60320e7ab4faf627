import { describe, expect, test } from 'vitest';
import { defaultSpec, mergeEnvironment, type SpecParameters } from '../../../../src/shared/oci/default-spec.ts';

const parameters: SpecParameters = {
  id: 'web',
  namespace: 'ns',
  rootfs: '/srv/rootfs',
  readonlyRootfs: false,
  args: ['/bin/true'],
  env: [],
  cwd: '/',
  user: { uid: 0, gid: 0 },
  terminal: false,
  network: 'none',
  limits: {},
  hostFiles: [],
};

const namespacesOf = (spec: ReturnType<typeof defaultSpec>) => spec.linux?.namespaces?.map(({ type }) => type);

describe('the default spec', () => {
  test('is OCI 1.0, names the root file system and puts the cgroup below the namespace', () => {
    const spec = defaultSpec(parameters);
    expect(spec.ociVersion).toBe('1.0.2');
    expect(spec.root).toEqual({ path: '/srv/rootfs', readonly: false });
    expect(spec.linux?.cgroupsPath).toBe('/ns/web');
    expect(spec.hostname).toBe('web');
  });

  test('has a network of its own unless the host’s is asked for', () => {
    expect(namespacesOf(defaultSpec(parameters))).toEqual(['pid', 'ipc', 'uts', 'mount', 'network']);
    expect(namespacesOf(defaultSpec({ ...parameters, network: 'host' }))).toEqual(['pid', 'ipc', 'uts', 'mount']);
  });

  test('lets nobody gain privileges and says the OOM score', () => {
    const { process } = defaultSpec(parameters);
    expect(process.noNewPrivileges).toBe(true);
    expect(process.oomScoreAdj).toBe(0);
    expect(process.capabilities?.bounding).toContain('CAP_CHOWN');
    expect(process.capabilities?.bounding).not.toContain('CAP_SYS_ADMIN');
    expect(process.capabilities?.inheritable).toBeUndefined();
    expect(process.capabilities?.ambient).toBeUndefined();
  });

  test('masks the kernel’s own files and denies devices', () => {
    const { linux } = defaultSpec(parameters);
    expect(linux?.maskedPaths).toContain('/proc/kcore');
    expect(linux?.readonlyPaths).toContain('/proc/sys');
    expect(linux?.resources).toEqual({ devices: [{ allow: false, access: 'rwm' }] });
  });

  test('has limits where they are asked for', () => {
    const { linux } = defaultSpec({ ...parameters, limits: { memory: 1024, cpus: 1.5, pids: 10 } });
    expect(linux?.resources).toMatchObject({
      memory: { limit: 1024 },
      cpu: { quota: 150_000, period: 100_000 },
      pids: { limit: 10 },
    });
  });

  test('names the terminal’s type only where there is one, and lets the user name another', () => {
    expect(defaultSpec(parameters).process.env?.some((entry) => entry.startsWith('TERM='))).toBe(false);
    expect(defaultSpec({ ...parameters, terminal: true }).process.env).toContain('TERM=xterm');
    const own = defaultSpec({ ...parameters, terminal: true, env: ['TERM=vt100'] }).process.env;
    expect(own).toContain('TERM=vt100');
    expect(own).not.toContain('TERM=xterm');
  });

  test('binds the host’s files read-only at their own place', () => {
    const { mounts } = defaultSpec({ ...parameters, hostFiles: ['/etc/hosts'] });
    expect(mounts?.at(-1)).toEqual({
      destination: '/etc/hosts',
      type: 'bind',
      source: '/etc/hosts',
      options: ['rbind', 'ro'],
    });
  });

  test('keeps the host name within what the kernel takes', () => {
    expect(defaultSpec({ ...parameters, id: 'x'.repeat(76) }).hostname).toHaveLength(64);
  });
});

test('merging variables keeps the place of a name and takes the last value', () => {
  expect(mergeEnvironment(['A=1', 'B=2'], ['A=3', 'C=4', 'C=5'])).toEqual(['A=3', 'B=2', 'C=5']);
});
