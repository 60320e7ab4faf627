import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { DockerEngine, image } from './lib/docker-engine.ts';
import { haveEngine, newestCase } from './lib/engine-cases.ts';

describe.skipIf(!haveEngine).each([newestCase])('a swarm of one, with $name and $shim', ({ generation }) => {
  let daemon: Daemon;
  let engine: DockerEngine;

  beforeAll(async () => {
    daemon = await Daemon.start({ generation });
    // A swarm cannot be had together with live-restore.
    engine = await DockerEngine.start(daemon);
    // In the network namespace of this dockerd there is nothing but loopback, so the port is nobody else's.
    await engine.succeed('swarm', 'init', '--advertise-addr', '127.0.0.1', '--listen-addr', '127.0.0.1:2377');
  });

  afterAll(async () => {
    await engine?.docker(['swarm', 'leave', '--force']);
    await engine?.[Symbol.asyncDispose]();
    await daemon?.[Symbol.asyncDispose]();
  });

  const running = async (): Promise<string[]> => {
    const ids = await engine.succeed(
      'ps',
      '--quiet',
      '--no-trunc',
      '--filter',
      'label=com.docker.swarm.service.name=web',
    );
    return ids === '' ? [] : ids.split('\n');
  };
  const replicas = (count: number) =>
    waitFor(
      async () => {
        const said = await engine.succeed('service', 'ls', '--format', '{{.Name}} {{.Replicas}}');
        return said === `web ${count}/${count}` && (await running()).length === count;
      },
      { every: 200, budget: 90_000, doing: `${count} replicas` },
    );

  test('runs five replicas, replaces one that was killed, scales to 20 and to none, and leaves nothing', async () => {
    const service = ['--name', 'web', '--replicas', '5', '--network', 'host', '--restart-delay', '100ms'];
    await engine.succeed(
      'service',
      'create',
      '--detach',
      ...service,
      '--stop-grace-period',
      '1s',
      image,
      'sleep',
      '3600',
    );
    await replicas(5);

    const [victim = ''] = await running();
    process.kill(Number(await engine.inspect(victim, '.State.Pid')), 'SIGKILL');
    await waitFor(async () => !(await running()).includes(victim), { every: 100, doing: 'the killed one to be gone' });
    await replicas(5);
    expect(await engine.succeed('service', 'ps', 'web', '--format', '{{.Error}}', '--no-trunc')).toContain('(137)');

    await engine.succeed('service', 'scale', '--detach', 'web=20');
    await replicas(20);

    await engine.succeed('service', 'scale', '--detach', 'web=0');
    await replicas(0);
    await engine.succeed('service', 'rm', 'web');
    // The agent removes the containers of a service that is gone in its own time.
    await waitFor(async () => (await engine.succeed('ps', '--all', '--quiet')) === '', {
      every: 200,
      budget: 60_000,
      doing: 'the containers to be removed',
    });
    expect(await engine.settled()).toEqual(nothingLeft);
  });
});
