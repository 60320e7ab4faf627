import { spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { runtimeName } from '../../src/process-shim/about.ts';
import { adminDefinition, containersDefinition, healthDefinition } from '../../src/shared/grpc/index.ts';
import { grpc } from '../../src/shared/proto/gen/services.js';
import { typeUrls } from '../../src/shared/wire/any.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, type DaemonOptions, nothingLeft } from '../helpers/daemon.ts';
import { fixtureRuntime, fixtureShims } from '../helpers/fixture-shims.ts';
import { endTask, getTask, killTask, launch, Status } from '../helpers/tasks.ts';
import { makeDirectory, uniqueName } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';

const runtime = fixtureRuntime('plain');
const tasksService = 'containerd.services.tasks.v1.Tasks';
const containersService = 'containerd.services.containers.v1.Containers';
const { SERVING: serving, NOT_SERVING: notServing } = grpc.health.v1.HealthCheckResponse.ServingStatus;

interface Component {
  readonly component: string;
  readonly state: string;
  readonly since: string;
  readonly reason: string;
}

interface Info {
  readonly state: string;
  readonly components: readonly Component[];
  readonly problems: readonly string[];
}

describe('the health of the daemon', () => {
  let daemon: Daemon;

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  const start = async (options: DaemonOptions = {}): Promise<void> => {
    daemon = await Daemon.start({ programs: [fixtureShims], ...options });
  };

  const info = async (): Promise<Info & { code: number }> => {
    const { code, stdout } = await daemon.shimd(['info', '--json']);
    return { ...(JSON.parse(stdout) as Info), code };
  };

  /** Waits until the component is in that state, and answers what `shimd info` says then. */
  const until = (component: string, state: string) =>
    waitFor(
      async () => {
        const found = await info();
        const one = found.components.find((candidate) => candidate.component === component);
        return (one?.state ?? 'ok') === state ? { ...found, one } : undefined;
      },
      { budget: 30_000, doing: `${component} to be ${state}` },
    );

  const check = async (service: string) => (await daemon.client.call(healthDefinition.check, { service })).status;

  const watch = (service: string) => {
    const stream = daemon.client.stream(healthDefinition.watch, { service });
    return { statuses: () => stream.messages.map(({ status }) => status), cancel: () => stream.cancel() };
  };

  test('tells of a shim that stops answering, since when, and of its coming back, and goes on serving', async () => {
    await start({ config: '[shim]\nheartbeat = "300ms"\n[deadlines]\nstate = "2s"\n' });
    const id = uniqueName('c');
    await launch(daemon, id, { runtime });
    expect(await info()).toMatchObject({ code: 0, state: 'ok', problems: [] });
    const { shims } = await daemon.client.call(adminDefinition.listShims, {});
    const pid = shims.find((shim) => shim.id === id)?.pid ?? 0;
    const name = `shim/${daemon.namespace}/${id}`;
    const began = Date.now();
    process.kill(pid, 'SIGSTOP');
    try {
      const found = await until(name, 'failed');
      expect(found).toMatchObject({ code: 1, state: 'degraded', one: { reason: 'it does not answer its heartbeat' } });
      expect(Date.parse(found.one?.since ?? '')).toBeGreaterThanOrEqual(began);
      expect(found.components).toContainEqual(
        expect.objectContaining({ component: 'shims', state: 'degraded', reason: '1 of 1 are not as they should be' }),
      );
      expect(found.problems).toContain(`${name}: it does not answer its heartbeat`);
      const text = await daemon.shimd(['info']);
      expect(text).toMatchObject({ code: 1, stdout: expect.stringMatching(/^health {4}degraded$/m) });
      expect(text.stdout).toMatch(new RegExp(`^${name} +failed +\\d+s +it does not answer its heartbeat$`, 'm'));
      expect(await Promise.all(['', tasksService].map(check))).toEqual([serving, serving]);
      // Nobody is asked: a shim that is stuck holds up no answer.
      const asked = performance.now();
      await daemon.client.call(adminDefinition.info, {});
      await daemon.client.call(adminDefinition.health, {});
      expect(performance.now() - asked).toBeLessThan(1900);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    expect(await until(name, 'ok')).toMatchObject({ state: 'ok', code: 0 });
    await endTask(daemon, id);
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('tells of a shim that does not answer after a restart', async () => {
    await start({ config: '[shim]\nheartbeat = "300ms"\n[deadlines]\nload = "500ms"\nstate = "500ms"\n' });
    const id = uniqueName('c');
    await launch(daemon, id, { runtime });
    const { shims } = await daemon.client.call(adminDefinition.listShims, {});
    const pid = shims.find((shim) => shim.id === id)?.pid ?? 0;
    await daemon.kill();
    process.kill(pid, 'SIGSTOP');
    try {
      await daemon.start();
      const found = await until(`shim/${daemon.namespace}/${id}`, 'failed');
      expect(found.one?.reason).toMatch(/does not answer|did not answer/);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    expect(await until('shims', 'ok')).toMatchObject({ code: 0 });
    expect(await getTask(daemon, id)).toMatchObject({ status: Status.RUNNING });
    await endTask(daemon, id);
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('has failed while no slot has a thread, as its watchers are told, and is well with the next one', async () => {
    await start({ workers: 1 });
    const [whole, tasks, containers] = ['', tasksService, containersService].map(watch);
    await waitFor(() => containers?.statuses().length === 1);
    // Each loss soon after the one before makes the next thread wait longer.
    const found = await waitFor(
      async () => {
        await daemon.client.call(adminDefinition.restartSlot, { id: 0 });
        const seen = await info();
        return seen.state === 'failed' && tasks?.statuses().at(-1) === notServing ? seen : undefined;
      },
      { budget: 30_000 },
    );
    expect(found.code).toBe(1);
    expect(found.components).toContainEqual(
      expect.objectContaining({
        component: 'slot/0',
        state: 'failed',
        reason: expect.stringContaining('restart was asked for'),
      }),
    );
    expect(await until('slot/0', 'ok')).toMatchObject({ state: 'ok', code: 0 });
    await waitFor(() => tasks?.statuses().at(-1) === serving && whole?.statuses().at(-1) === serving);
    expect(tasks?.statuses()[0]).toBe(serving);
    expect(whole?.statuses()).toContain(notServing);
    expect(containers?.statuses()).toEqual([serving]);
    const unknown = await failureOf(daemon.client.call(healthDefinition.check, { service: 'no.such.Service' }));
    expect(unknown.code).toBe('NOT_FOUND');
    for (const stream of [whole, tasks, containers]) stream?.cancel();
  });

  test('tells of a socket that shims do not find any more', async () => {
    await start();
    const socket = path.join(daemon.state, 'events.sock');
    renameSync(socket, `${socket}.aside`);
    const found = await until('events-endpoint', 'failed');
    expect(found).toMatchObject({ state: 'degraded', code: 1, one: { reason: expect.stringContaining(socket) } });
    renameSync(`${socket}.aside`, socket);
    expect(await until('events-endpoint', 'ok')).toMatchObject({ code: 0 });
    await waitFor(() =>
      daemon.log.some((line) => line['message'] === 'component well again' && line['component'] === 'events-endpoint'),
    );
  });

  test('tells of a service that ends soon after each restart', async () => {
    await start({ config: '[restart]\nhealthy_after = "2s"\ninterval = "500ms"\n[placement]\nidle_grace = "1s"\n' });
    const id = uniqueName('s');
    const flag = path.join(daemon.directory, 'run');
    const script = `test -e ${flag} && exec sleep 3600; exit 7`;
    const run = ['run', '-d', '--id', id, '--restart', 'always', '--runtime', runtimeName, '--', 'sh', '-c', script];
    expect(await daemon.shimd(run)).toMatchObject({ code: 0 });
    const found = await until('restart-monitor', 'degraded');
    expect(found).toMatchObject({
      state: 'degraded',
      one: { reason: expect.stringContaining(`${daemon.namespace}/${id}: it ended`) },
    });
    writeFileSync(flag, '');
    // It has to run for a while to be well.
    await until('restart-monitor', 'ok');
    expect((await daemon.shimd(['rm', '-f', id])).code).toBe(0);
    expect(await daemon.settled()).toEqual(nothingLeft);
  }, 90_000);

  test.skipIf(process.getuid?.() !== 0)(
    'has failed where its store refuses what a full file system has no room for',
    async () => {
      const root = path.join(makeDirectory(), 'small');
      mkdirSync(root);
      const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'shimd-test', root]);
      expect(mount.status).toBe(0);
      try {
        await start({ args: ['--root', root] });
        const id = uniqueName('c');
        await launch(daemon, id, { runtime });
        const [containers, tasks] = [containersService, tasksService].map(watch);
        const ballast = path.join(root, 'ballast');
        const { bavail, bsize } = statfsSync(root);
        writeFileSync(ballast, Buffer.alloc((bavail - 1) * bsize));
        const full = await until('store', 'degraded');
        expect(full).toMatchObject({ state: 'degraded', one: { reason: expect.stringContaining(root) } });
        expect(await check(containersService)).toBe(serving);

        const spec = { type_url: typeUrls.spec, value: Buffer.alloc(20_000, ' ') };
        const create = (index: number) =>
          daemon.client.call(containersDefinition.create, {
            container: { id: `x-${index}`, runtime: { name: runtime }, spec },
          });
        const refused = await failureOf(
          (async () => {
            for (let index = 0; ; index += 1) await create(index);
          })(),
        );
        expect(refused.code).toBe('RESOURCE_EXHAUSTED');
        const failed = await until('store', 'failed');
        expect(failed).toMatchObject({ state: 'failed', code: 1 });
        expect(await Promise.all(['', containersService, tasksService].map(check))).toEqual([
          notServing,
          notServing,
          serving,
        ]);
        await waitFor(() => containers?.statuses().at(-1) === notServing);
        // What runs is not harmed, and can be ended.
        expect(await getTask(daemon, id)).toMatchObject({ status: Status.RUNNING });
        await killTask(daemon, id);
        await waitFor(async () => (await getTask(daemon, id)).status === Status.STOPPED);

        rmSync(ballast);
        expect(await until('store', 'ok')).toMatchObject({ components: expect.any(Array) });
        await until('event-log', 'ok');
        await waitFor(() => containers?.statuses().at(-1) === serving);
        expect(containers?.statuses()).toEqual([serving, notServing, serving]);
        expect(tasks?.statuses()).toEqual([serving]);
        for (const stream of [containers, tasks]) stream?.cancel();
        await daemon[Symbol.asyncDispose]();
      } finally {
        spawnSync('umount', ['--lazy', root]);
      }
    },
  );
});
