import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { uniqueName } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { DockerEngine, image } from './lib/docker-engine.ts';
import { engineCases, haveEngine } from './lib/engine-cases.ts';

describe.skipIf(!haveEngine).each(engineCases)('live-restore, with $name and $shim', ({ generation }) => {
  let daemon: Daemon;
  let engine: DockerEngine;

  beforeAll(async () => {
    daemon = await Daemon.start({ generation });
    engine = await DockerEngine.start(daemon, { liveRestore: true });
  });

  afterEach(async () => {
    await engine.removeContainers();
    expect(await engine.settled()).toEqual(nothingLeft);
  });

  afterAll(async () => {
    await engine?.[Symbol.asyncDispose]();
    await daemon?.[Symbol.asyncDispose]();
  });

  interface Started {
    readonly name: string;
    readonly pid: number;
  }

  /** A container that ends with the status that a file `/tmp/end` in it has. */
  const launch = async (...options: string[]): Promise<Started> => {
    const name = uniqueName('c');
    const script = 'echo up; until [ -s /tmp/end ]; do sleep 0.05; done; exit "$(cat /tmp/end)"';
    const args = ['run', '-d', '--network', 'none', '--name', name, ...options, image, 'sh', '-c', script];
    await engine.succeed(...args);
    return { name, pid: Number(await engine.inspect(name, '.State.Pid')) };
  };

  /** Ends it from outside: neither Docker nor shimd has to be there. */
  const end = async ({ pid }: Started, status: number): Promise<void> => {
    writeFileSync(`/proc/${pid}/root/tmp/end`, String(status));
    await waitFor(() => !isAlive(pid), { doing: 'the container to end' });
  };

  const stateOf = async ({ name }: Started): Promise<string> =>
    engine.inspect(name, '.State.Status}} {{.State.ExitCode');
  const listed = async (): Promise<string[]> =>
    (await engine.succeed('ps', '--format', '{{.Names}}')).split('\n').filter(Boolean).toSorted();
  const becomes = (container: Started, wanted: string): Promise<boolean> =>
    waitFor(async () => (await stateOf(container)) === wanted, {
      every: 100,
      // dockerd backs off while shimd is away.
      budget: 60_000,
      doing: `${container.name} to be ${wanted}`,
    });

  /** What a container that lived through it all still has to do. */
  const works = async (container: Started): Promise<void> => {
    expect(isAlive(container.pid)).toBe(true);
    expect(await engine.inspect(container.name, '.State.Pid')).toBe(String(container.pid));
    const inside = await engine.docker(['exec', container.name, 'sh', '-c', 'echo in; exit 4']);
    expect(inside).toMatchObject({ code: 4, stdout: 'in\n' });
    expect(await engine.succeed('logs', container.name)).toBe('up');
    const waiting = engine.startDocker(['wait', container.name]);
    await end(container, 9);
    expect(await waiting.finished).toMatchObject({ code: 0, stdout: '9\n' });
    await becomes(container, 'exited 9');
  };

  test('shimd killed and restarted under dockerd: what ended meanwhile has its status, the rest goes on', async () => {
    const ended = await launch();
    const lives = await launch();
    await daemon.kill();
    await end(ended, 5);
    await daemon.start();
    await becomes(ended, 'exited 5');
    expect(await listed()).toEqual([lives.name]);
    expect(await engine.succeed('wait', ended.name)).toBe('5');
    await works(lives);
  });

  test('shimd killed with a wait under way: the wait has the real status', async () => {
    const container = await launch();
    const waiting = engine.startDocker(['wait', container.name]);
    await daemon.kill();
    await end(container, 7);
    await daemon.start();
    expect(await waiting.finished).toMatchObject({ code: 0, stdout: '7\n' });
  });

  test('shimd killed twice in a row loses nothing', async () => {
    const first = await launch();
    const second = await launch();
    const third = await launch();
    await daemon.kill();
    await end(first, 1);
    await daemon.start();
    await daemon.kill();
    await end(second, 2);
    await daemon.start();
    await becomes(first, 'exited 1');
    await becomes(second, 'exited 2');
    expect(await listed()).toEqual([third.name]);
    await works(third);
  });

  test('shimd stopped in order and started again: dockerd comes back to it', async () => {
    const ended = await launch();
    const lives = await launch();
    await daemon.stop();
    await end(ended, 6);
    await daemon.start();
    await becomes(ended, 'exited 6');
    expect(await listed()).toEqual([lives.name]);
    await works(lives);
  });

  test('a container that restarts always and was killed while shimd was down comes back', async () => {
    const container = await launch('--restart', 'always');
    await daemon.kill();
    process.kill(container.pid, 'SIGKILL');
    await waitFor(() => !isAlive(container.pid));
    await daemon.start();
    await waitFor(async () => (await engine.inspect(container.name, '.RestartCount')) === '1', {
      every: 100,
      budget: 60_000,
      doing: 'the container to be restarted',
    });
    await becomes(container, 'running 0');
    expect(await listed()).toEqual([container.name]);
  });

  test('what ends right after the restart of shimd, before dockerd is back, has its status too', async () => {
    const container = await launch();
    await daemon.kill();
    await daemon.start();
    await end(container, 8);
    await becomes(container, 'exited 8');
    expect(await listed()).toEqual([]);
  });

  test('dockerd killed and restarted: what ended meanwhile has its status, the rest goes on', async () => {
    const ended = await launch();
    const lives = await launch();
    await engine.kill();
    await end(ended, 5);
    await engine.start();
    expect(await stateOf(ended)).toBe('exited 5');
    expect(await listed()).toEqual([lives.name]);
    await works(lives);
  });

  test('dockerd stopped in order leaves the containers running', async () => {
    const ended = await launch();
    const lives = await launch();
    await engine.stop();
    expect(isAlive(lives.pid)).toBe(true);
    await end(ended, 3);
    await engine.start();
    expect(await stateOf(ended)).toBe('exited 3');
    await works(lives);
  });

  test('both killed: what ended meanwhile has its status, the rest goes on', async () => {
    const ended = await launch();
    const lives = await launch();
    await engine.kill();
    await daemon.kill();
    await end(ended, 5);
    await daemon.start();
    await engine.start();
    expect(await stateOf(ended)).toBe('exited 5');
    expect(await listed()).toEqual([lives.name]);
    await works(lives);
  });
});
