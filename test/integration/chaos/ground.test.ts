import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isAlive } from '../../helpers/leftovers.ts';
import { waitFor } from '../../helpers/wait-for.ts';

interface Ground {
  readonly directory: string;
  readonly namespace: string;
  readonly state: string;
  readonly root: string;
  open(): void;
  cgroupOf(id: string): string;
  leftovers(about?: { readonly daemon?: number; readonly sockets?: readonly string[] }): string[];
  cleanUp(options: { readonly keepLog: boolean }): void;
}

const file = path.resolve(import.meta.dirname, '../../chaos/lib/ground.mjs');
const { Ground } = (await import(pathToFileURL(file).href)) as { Ground: new () => Ground };

/** A cgroup hierarchy that directories can be made in. */
function cgroupRoot(): string {
  const line = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((text) => / - cgroup2? /.test(text));
  return line?.split(' ')[4] ?? '';
}

/** What a chaos run is judged by has to see each thing that could be left behind, and its clean-up has to end it. */
describe.skipIf(process.getuid?.() !== 0)('the ground of a chaos run', () => {
  let ground: Ground;

  beforeEach(() => {
    ground = new Ground();
    ground.open();
  });

  afterEach(() => ground.cleanUp({ keepLog: false }));

  test('has nothing left at its start', () => {
    expect(ground.leftovers()).toEqual([]);
  });

  test.each([
    { by: 'its environment', options: (own: Ground) => ({ env: { NAMESPACE: own.namespace } }) },
    { by: 'its directory', options: (own: Ground) => ({ cwd: own.state }) },
    { by: 'its arguments', options: (own: Ground) => ({ argv0: `shim -namespace ${own.namespace}` }) },
  ])('sees a process by $by, and ends it when it cleans up', async ({ options }) => {
    const child = spawn('/bin/sleep', ['3600'], { stdio: 'ignore', ...options(ground) });
    const ended = once(child, 'exit');
    await waitFor(() => ground.leftovers().some((line) => line.startsWith(`process ${child.pid}:`)));
    expect(ground.leftovers({ daemon: child.pid ?? 0 })).toEqual([]);
    ground.cleanUp({ keepLog: false });
    await ended;
    expect(isAlive(child.pid ?? 0)).toBe(false);
  });

  test('sees a process by its cgroup, and the cgroup', async () => {
    const group = path.join(cgroupRoot(), ground.cgroupOf('life-1'));
    mkdirSync(group, { recursive: true });
    const child = spawn('/bin/sh', ['-c', `echo $$ > ${group}/cgroup.procs; exec sleep 3600`], { stdio: 'ignore' });
    const ended = once(child, 'exit');
    try {
      await waitFor(() => ground.leftovers().some((line) => line.startsWith(`process ${child.pid}:`)));
      expect(ground.leftovers()).toContain(`cgroup ${group}`);
    } finally {
      child.kill('SIGKILL');
      await ended;
      rmdirSync(group);
      rmdirSync(path.dirname(group));
    }
    expect(ground.leftovers()).toEqual([]);
  });

  test('sees a mount, and removes it without harm to what was mounted', () => {
    const outside = path.join(ground.directory, 'outside');
    const point = path.join(ground.state, 'ns', 'task', 'rootfs');
    for (const directory of [outside, point]) mkdirSync(directory, { recursive: true });
    expect(spawnSync('mount', ['--bind', outside, point]).status).toBe(0);
    expect(ground.leftovers()).toEqual([`mount ${point}`]);
    ground.cleanUp({ keepLog: true });
    expect(existsSync(outside)).toBe(true);
    expect(ground.leftovers()).toEqual([]);
    rmSync(ground.directory, { recursive: true });
  });

  test('sees bundles of tasks, of shared shims and of sandboxes, hidden ones, and work directories', () => {
    const bundles = [
      path.join(ground.state, ground.namespace, 'task'),
      path.join(ground.state, ground.namespace, '.task.removing'),
      path.join(ground.state, ground.namespace, '.shims/shim'),
      path.join(ground.state, ground.namespace, '.sandboxes/pod'),
      path.join(ground.root, ground.namespace, 'task'),
    ];
    for (const bundle of bundles) mkdirSync(bundle, { recursive: true });
    expect(ground.leftovers().toSorted()).toEqual(bundles.map((bundle) => `bundle ${bundle}`).toSorted());
  });

  test('sees what runc still knows of a container', () => {
    const container = path.join('/run/containerd/runc', ground.namespace, 'task');
    mkdirSync(container, { recursive: true });
    expect(ground.leftovers()).toEqual([`container of runc ${container}`]);
    ground.cleanUp({ keepLog: false });
    expect(existsSync(path.dirname(container))).toBe(false);
  });

  test('sees the socket file of a shim that was told of', async () => {
    const socket = path.join(ground.directory, 's');
    const server = createServer().listen(socket);
    await once(server, 'listening');
    expect(ground.leftovers({ sockets: [socket] })).toEqual([`socket ${socket}`]);
    server.close();
    await once(server, 'close');
    expect(ground.leftovers({ sockets: [socket] })).toEqual([]);
  });

  test('sees an ended child that the daemon has not waited for', async () => {
    // A shell that becomes another program waits for no child.
    const parent = spawn('/bin/sh', ['-c', 'sleep 0 & exec sleep 3600'], { stdio: 'ignore' });
    const ended = once(parent, 'exit');
    try {
      await expect
        .poll(() => ground.leftovers({ daemon: parent.pid ?? 0 }))
        .toContainEqual(expect.stringMatching(/^zombie /));
    } finally {
      parent.kill('SIGKILL');
      await ended;
    }
  });
});
