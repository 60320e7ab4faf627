import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { runtimeName } from '../../src/process-shim/about.ts';
import { containersDefinition, tasksDefinition } from '../../src/shared/grpc/index.ts';
import { restartLabels } from '../../src/shared/restart-labels.ts';
import { Daemon, type DaemonOptions, nothingLeft } from '../helpers/daemon.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { combinations, generations, haveRuntimes, slowCombinations } from '../helpers/runtimes.ts';
import {
  countOf,
  createService,
  labelsOf,
  launchService,
  nextPid,
  quick,
  whileOtherRestarts,
} from '../helpers/services.ts';
import { deleteContainer, exitsIn, getTask, killTask, rootfs, Status, waitTask } from '../helpers/tasks.ts';
import { makeDirectory } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { listen } from './lib/subscription.ts';

const restarts = 20;

/** Every generation once, with a shim for each task where it is the oldest and a shared one where it is not; or the short form. */
const chosen =
  generations.length === 0 || slowCombinations.length < combinations.length
    ? slowCombinations
    : generations.flatMap((generation) => combinations.findLast((one) => one.generation === generation) ?? []);

const runtimes: readonly { title: string; isHere: boolean; embedded: boolean; daemon: DaemonOptions }[] = [
  ...chosen.map(({ title, generation, placement }) => ({
    title,
    isHere: haveRuntimes,
    embedded: false,
    daemon: { generation, placement },
  })),
  { title: runtimeName, isHere: true, embedded: true, daemon: { placement: 'shared' as const } },
];

for (const { title, isHere, embedded, daemon: options } of runtimes) {
  describe.skipIf(!isHere)(`a service on ${title}`, () => {
    test(`that is killed ${restarts} times comes back as often, later each time, and each end is told once`, async () => {
      await using daemon = await Daemon.start({ ...options, config: quick });
      const events = await listen(daemon);
      const pids = [await launchService(daemon, 'web', { embedded })];
      for (let kill = 0; kill < restarts; kill++) {
        await killTask(daemon, 'web');
        pids.push(await nextPid(daemon, 'web', pids.at(-1) ?? 0));
      }
      expect(await countOf(daemon, 'web')).toBe(restarts);
      const { tasks } = await daemon.client.call(tasksDefinition.list, {});
      expect(tasks).toMatchObject([{ id: 'web', pid: pids.at(-1), status: Status.RUNNING }]);
      expect(pids.slice(0, -1).filter(isAlive)).toEqual([]);
      const exits = await waitFor(() => {
        const found = exitsIn(events.messages);
        return found.length >= restarts && found;
      });
      expect(exits.map(({ pid, status }) => ({ pid, status }))).toEqual(
        pids.slice(0, -1).map((pid) => ({ pid, status: 137 })),
      );
      const rows = daemon.log.filter(({ message }) => message === 'service restarted').map(({ row }) => row);
      expect(rows).toEqual(Array.from({ length: restarts }, (_, index) => index + 1));
      expect(await daemon.shimd(['rm', '-f', 'web'])).toMatchObject({ code: 0 });
      expect(await daemon.settled({ sharedShims: true })).toEqual(nothingLeft);
    });

    test('with on-failure:2 comes back twice after failures, and not after success', async () => {
      await using daemon = await Daemon.start({ ...options, config: quick });
      await launchService(daemon, 'bad', { policy: 'on-failure:2', args: ['/bin/sh', '-c', 'exit 3'], embedded });
      await launchService(daemon, 'good', { policy: 'on-failure:2', args: ['/bin/sh', '-c', 'exit 0'], embedded });
      await waitFor(async () => (await countOf(daemon, 'bad')) === 2, { doing: 'two restarts' });
      await whileOtherRestarts(daemon, 'clock', 4, embedded);
      expect(await countOf(daemon, 'bad')).toBe(2);
      expect(await getTask(daemon, 'bad')).toMatchObject({ status: Status.STOPPED, exitStatus: 3 });
      expect(await countOf(daemon, 'good')).toBe(0);
      expect(await getTask(daemon, 'good')).toMatchObject({ status: Status.STOPPED, exitStatus: 0 });
    });

    test('whose task ended while the daemon was dead comes back with it, and keeps its count', async () => {
      await using daemon = await Daemon.start({ ...options, config: quick });
      const first = await launchService(daemon, 'web', { embedded });
      await killTask(daemon, 'web');
      const second = await nextPid(daemon, 'web', first);
      await daemon.kill();
      process.kill(second, 'SIGKILL');
      await waitFor(() => !isAlive(second));
      await daemon.start();
      const third = await nextPid(daemon, 'web', second);
      expect(await countOf(daemon, 'web')).toBe(2);
      expect(isAlive(third)).toBe(true);
    });

    test('is left alone while it is paused', async () => {
      await using daemon = await Daemon.start({ ...options, config: quick });
      const pid = await launchService(daemon, 'web', { embedded });
      await daemon.client.call(tasksDefinition.pause, { containerId: 'web' });
      await whileOtherRestarts(daemon, 'clock', 3, embedded);
      expect(await getTask(daemon, 'web')).toMatchObject({ pid, status: Status.PAUSED });
      await daemon.client.call(tasksDefinition.resume, { containerId: 'web' });
      expect(await countOf(daemon, 'web')).toBe(0);
    });

    test('that is stopped stays so, over a restart of the daemon too, until it is started', async () => {
      await using daemon = await Daemon.start({ ...options, config: quick });
      const pid = await launchService(daemon, 'web', { embedded });
      const stopped = await daemon.shimd(['stop', '-t', '0', 'web', '--json']);
      expect(JSON.parse(stopped.stdout)).toMatchObject([{ id: 'web', stopped: true }]);
      await daemon.kill();
      await daemon.start();
      await whileOtherRestarts(daemon, 'clock', 3, embedded);
      expect(await getTask(daemon, 'web')).toMatchObject({ pid, status: Status.STOPPED });
      expect((await daemon.shimd(['ps'])).stdout).toContain('(always)');
      expect(await daemon.shimd(['start', 'web'])).toEqual({ code: 0, stdout: '', stderr: '' });
      const second = await nextPid(daemon, 'web', pid);
      await daemon.shimd(['kill', '-s', 'KILL', 'web']);
      await nextPid(daemon, 'web', second);
    });
  });
}

describe.skipIf(!haveRuntimes)('restart labels', () => {
  const generation = generations.at(-1);
  const start = (config = quick): Promise<Daemon> =>
    Daemon.start(generation === undefined ? { config } : { generation, config });

  test('have a container without a task run after a while, and one that a client is making not before', async () => {
    await using daemon = await start();
    await createService(daemon, 'web');
    await whileOtherRestarts(daemon, 'clock');
    const pid = await nextPid(daemon, 'web', 0);
    expect(isAlive(pid)).toBe(true);
    expect(await countOf(daemon, 'web')).toBe(1);
  });

  test('end a task that shall be stopped, once its client had time to', async () => {
    await using daemon = await start();
    const pid = await launchService(daemon, 'web');
    await daemon.client.call(containersDefinition.update, {
      container: { id: 'web', labels: { [restartLabels.status]: 'stopped' } },
      updateMask: { paths: [`labels.${restartLabels.status}`] },
    });
    await waitFor(() => !isAlive(pid));
    await waitFor(async () => (await daemon.client.call(tasksDefinition.list, {})).tasks.length === 0);
    expect(await daemon.settled({ sharedShims: true })).toEqual(nothingLeft);
  });

  test('of a service that a user kills: unless-stopped stays ended, always comes back', async () => {
    await using daemon = await start();
    const mild = await launchService(daemon, 'mild', { policy: 'unless-stopped' });
    const firm = await launchService(daemon, 'firm');
    await daemon.shimd(['kill', '-s', 'KILL', 'mild', 'firm']);
    await nextPid(daemon, 'firm', firm);
    expect(await getTask(daemon, 'mild')).toMatchObject({ pid: mild, status: Status.STOPPED });
    expect(await labelsOf(daemon, 'mild')).toMatchObject({ [restartLabels.explicitlyStopped]: 'true' });
  });

  test('write to the log that a caller chose, and to no file or program that only a label names', async () => {
    const logs = makeDirectory();
    const allowed = path.join(logs, 'allowed');
    mkdirSync(allowed);
    await using daemon = await start(`${quick}log_directories = ["${allowed}"]\n`);
    const uri = (file: string) => pathToFileURL(path.join(logs, file)).href;
    const echo = ['/bin/sh', '-c', 'echo hello; sleep 3600'];
    const program = 'binary:///bin/sh?-c=touch';
    const services = {
      chosen: { args: echo, labels: { [restartLabels.logUri]: uri('chosen') }, stdout: uri('chosen') },
      below: { args: echo, labels: { [restartLabels.logUri]: uri('allowed/below') } },
      elsewhere: { args: echo, labels: { [restartLabels.logUri]: uri('elsewhere') } },
      around: { args: echo, labels: { [restartLabels.logUri]: uri('allowed/../around') } },
      program: { args: echo, labels: { [restartLabels.logUri]: program } },
    };
    for (const [id, options] of Object.entries(services)) {
      const pid = await launchService(daemon, id, options);
      process.kill(pid, 'SIGKILL');
      await nextPid(daemon, id, pid);
    }
    const text = (file: string) =>
      existsSync(path.join(logs, file)) ? readFileSync(path.join(logs, file), 'utf8') : '';
    await waitFor(() => text('chosen') === 'hello\nhello\n', { doing: 'the log of both runs' });
    await waitFor(() => text('allowed/below') === 'hello\n', { doing: 'the log of the second run' });
    expect([text('elsewhere'), text('around')]).toEqual(['', '']);
    const refused = daemon.log.filter(({ message }) => message === 'log target of a label refused');
    expect(refused.map(({ task }) => task)).toEqual(['elsewhere', 'around', 'program']);
  });

  test('of the command line: run, ps, inspect and rm in the pause before a restart', async () => {
    await using daemon = await start('[restart]\nfirst_pause = "30s"\n');
    const args = ['run', '-d', '--id', 'web', '--restart', 'on-failure:5', '--rootfs', rootfs, '--', '/bin/false'];
    expect(await daemon.shimd(args)).toMatchObject({ code: 0, stderr: '' });
    await waitTask(daemon, 'web');
    expect((await daemon.shimd(['ps'])).stdout).toMatch(/RESTART.*\n.*web .* on-failure:5 /);
    const [shown] = JSON.parse((await daemon.shimd(['inspect', '--json', 'web'])).stdout) as [object];
    expect(shown).toMatchObject({ restart: { policy: 'on-failure:5', status: 'running', count: 0 } });
    expect(await daemon.shimd(['rm', 'web'])).toMatchObject({ code: 0 });
    expect(await daemon.settled({ sharedShims: true })).toEqual(nothingLeft);
    const refused = await daemon.shimd(['run', '--restart', 'always', '--rootfs', rootfs, '--', '/bin/true']);
    expect(refused).toMatchObject({ code: 125, stderr: expect.stringContaining('--detach') });
  });

  test('are nobody’s business once the container is gone', async () => {
    await using daemon = await start();
    const pid = await launchService(daemon, 'web');
    await deleteContainer(daemon, 'web');
    process.kill(pid, 'SIGKILL');
    await waitFor(async () => (await getTask(daemon, 'web')).status === Status.STOPPED);
    await whileOtherRestarts(daemon, 'clock');
    expect(await getTask(daemon, 'web')).toMatchObject({ pid, status: Status.STOPPED });
  });
});
