import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { uniqueName } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { DockerEngine, image } from './lib/docker-engine.ts';
import { engineCases, haveEngine } from './lib/engine-cases.ts';

describe.skipIf(!haveEngine).each(engineCases)(
  'docker commands on containers, with $name and $shim',
  ({ generation }) => {
    let daemon: Daemon;
    let engine: DockerEngine;

    beforeAll(async () => {
      daemon = await Daemon.start({ generation });
      engine = await DockerEngine.start(daemon);
    });

    afterEach(async () => {
      await engine.removeContainers();
      expect(await engine.settled()).toEqual(nothingLeft);
    });

    afterAll(async () => {
      await engine?.[Symbol.asyncDispose]();
      await daemon?.[Symbol.asyncDispose]();
    });

    /** Starts a container in the background and answers its name. */
    const launch = async (script: string, ...options: string[]): Promise<string> => {
      const name = uniqueName('c');
      await engine.succeed('run', '-d', '--network', 'none', '--name', name, ...options, image, 'sh', '-c', script);
      return name;
    };
    const status = (name: string): Promise<string> => engine.inspect(name, '.State.Status');
    const becomes = (name: string, wanted: string): Promise<boolean> =>
      waitFor(async () => (await status(name)) === wanted, { every: 50, doing: `${name} to be ${wanted}` });

    test.each([0, 3, 127, 137])('exec exits with the status %i of its command', async (code) => {
      const name = await launch('sleep 3600');
      expect(await engine.docker(['exec', name, 'sh', '-c', `exit ${code}`])).toMatchObject({ code });
    });

    test('exec takes input, environment, directory and user, and keeps the streams apart', async () => {
      const name = await launch('sleep 3600');
      const options = ['-i', '-e', 'WORD=hi', '-w', '/tmp', '-u', '1000'];
      const script = 'cat; echo "$WORD $PWD $(id -u)"; echo problem >&2; exit 5';
      const result = await engine.docker(['exec', ...options, name, 'sh', '-c', script], { input: 'input\n' });
      expect(result).toEqual({ code: 5, stdout: 'input\nhi /tmp 1000\n', stderr: 'problem\n' });
      expect(await engine.succeed('exec', '-t', name, 'tty')).toMatch(/^\/dev\/pts\/\d\r$/);
    });

    test('exec of what cannot be run exits with 126 (127 since 23.0 where it is not there) and harms nothing', async () => {
      const name = await launch('sleep 3600');
      expect([126, 127]).toContain((await engine.docker(['exec', name, '/bin/nope'])).code);
      expect((await engine.docker(['exec', name, '/etc/passwd'])).code).toBe(126);
      expect(await engine.succeed('exec', name, 'echo', 'fine')).toBe('fine');
    });

    test('exec -d runs on its own', async () => {
      const name = await launch('sleep 3600');
      await engine.succeed('exec', '-d', name, 'sh', '-c', 'echo done > /tmp/word');
      const written = () => engine.docker(['exec', name, 'cat', '/tmp/word']);
      await waitFor(async () => (await written()).stdout !== '');
      expect(await written()).toMatchObject({ code: 0, stdout: 'done\n' });
    });

    test('many execs at once each have their own status', async () => {
      const name = await launch('sleep 3600');
      const codes = Array.from({ length: 12 }, (_, code) => code);
      const results = await Promise.all(
        codes.map((code) => engine.docker(['exec', name, 'sh', '-c', `echo ${code}; exit ${code}`])),
      );
      expect(results).toEqual(codes.map((code) => ({ code, stdout: `${code}\n`, stderr: '' })));
    });

    test('logs has both streams, and -f follows to the end', async () => {
      const name = await launch('echo out; echo err >&2; until [ -f /tmp/end ]; do sleep 0.05; done; echo last');
      const following = engine.startDocker(['logs', '-f', name]);
      await waitFor(() => following.stdout.includes('out'), { doing: 'the logs' });
      await engine.succeed('exec', name, 'touch', '/tmp/end');
      expect(await following.finished).toEqual({ code: 0, stdout: 'out\nlast\n', stderr: 'err\n' });
      expect(await engine.docker(['logs', name])).toEqual({ code: 0, stdout: 'out\nlast\n', stderr: 'err\n' });
    });

    test('top lists the processes', async () => {
      const name = await launch('sleep 4321 & exec sleep 4322');
      await waitFor(async () => (await engine.succeed('top', name, '-o', 'pid,args')).includes('sleep 4321'));
      expect(await engine.succeed('top', name, '-o', 'pid,args')).toContain('sleep 4322');
    });

    test('stats has figures', async () => {
      const name = await launch('while :; do :; done', '--memory', '64m');
      const figures = async () => {
        const line = await engine.succeed('stats', '--no-stream', '--format', '{{json .}}', name);
        return JSON.parse(line) as Record<'MemUsage' | 'PIDs' | 'CPUPerc', string>;
      };
      const { MemUsage, PIDs, CPUPerc } = await figures();
      expect(MemUsage).toMatch(/^[1-9][\d.]*[KM]iB \/ 64MiB$/);
      expect(Number(PIDs)).toBeGreaterThan(0);
      expect(Number.parseFloat(CPUPerc)).toBeGreaterThan(0);
    });

    test('pause stops the processes, unpause lets them go on', async () => {
      const name = await launch('while :; do echo tick; sleep 0.1; done');
      await engine.succeed('pause', name);
      expect(await status(name)).toBe('paused');
      const lines = (await engine.succeed('logs', name)).length;
      expect((await engine.docker(['exec', name, 'true'])).stderr).toContain('is paused');
      expect((await engine.succeed('logs', name)).length).toBe(lines);
      await engine.succeed('unpause', name);
      expect(await status(name)).toBe('running');
      await waitFor(async () => (await engine.succeed('logs', name)).length > lines);
    });

    test('update --memory changes the limit of a running container', async () => {
      const name = await launch('sleep 3600', '--memory', '64m', '--memory-swap', '128m');
      await engine.succeed('update', '--memory', '32m', '--memory-swap', '64m', name);
      expect(await engine.inspect(name, '.HostConfig.Memory')).toBe(String(32 << 20));
      const files = 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null || true';
      expect(await engine.succeed('exec', name, 'sh', '-c', files)).toBe(String(32 << 20));
    });

    test('kill sends any signal', async () => {
      const name = await launch('trap "echo usr1" USR1; trap "exit 9" TERM; while :; do echo up; sleep 0.1; done');
      await waitFor(async () => (await engine.succeed('logs', name)).includes('up'));
      await engine.succeed('kill', '--signal', 'USR1', name);
      await waitFor(async () => (await engine.succeed('logs', name)).includes('usr1'));
      await engine.succeed('kill', '--signal', 'TERM', name);
      expect(await engine.succeed('wait', name)).toBe('9');
      expect((await engine.docker(['kill', name])).stderr).toContain('is not running');
    });

    test('stop asks first, and kills what does not listen', async () => {
      const polite = await launch('trap "exit 4" TERM; while :; do echo up; sleep 0.1; done');
      const deaf = await launch('trap "" TERM; while :; do echo up; sleep 0.1; done');
      for (const name of [polite, deaf]) {
        await waitFor(async () => (await engine.succeed('logs', name)).includes('up'));
      }
      await engine.succeed('stop', '--time', '60', polite);
      await engine.succeed('stop', '--time', '1', deaf);
      expect(await engine.inspect(polite, '.State.ExitCode')).toBe('4');
      expect(await engine.inspect(deaf, '.State.ExitCode')).toBe('137');
    });

    test('start runs a stopped container again, restart a running one, under the same id', async () => {
      const name = await launch('echo run; sleep 3600');
      const first = await engine.inspect(name, '.State.Pid');
      await engine.succeed('restart', '--time', '0', name);
      const second = await engine.inspect(name, '.State.Pid');
      expect(second).not.toBe(first);
      await engine.succeed('kill', name);
      expect(await engine.succeed('wait', name)).toBe('137');
      await engine.succeed('start', name);
      expect(await status(name)).toBe('running');
      await waitFor(async () => (await engine.succeed('logs', name)) === 'run\nrun\nrun');
    });

    test('--restart on-failure:2 tries twice more and gives up', async () => {
      const name = await launch('echo run; exit 3', '--restart', 'on-failure:2');
      await waitFor(async () => (await engine.inspect(name, '.RestartCount')) === '2', { every: 100 });
      await becomes(name, 'exited');
      expect(await engine.inspect(name, '.State.ExitCode')).toBe('3');
      expect(await engine.succeed('logs', name)).toBe('run\nrun\nrun');
    });

    test('--restart always brings back what was killed on the host, and not what was stopped', async () => {
      const name = await launch('sleep 3600', '--restart', 'always');
      const pid = Number(await engine.inspect(name, '.State.Pid'));
      process.kill(pid, 'SIGKILL');
      await waitFor(async () => (await engine.inspect(name, '.RestartCount')) === '1', { every: 100 });
      await becomes(name, 'running');
      await engine.succeed('stop', '--time', '0', name);
      expect(await status(name)).toBe('exited');
      expect(await engine.inspect(name, '.RestartCount')).toBe('1');
    });

    test('--restart unless-stopped restarts what ends by itself', async () => {
      const name = await launch('echo run; sleep 0.2', '--restart', 'unless-stopped');
      await waitFor(async () => Number(await engine.inspect(name, '.RestartCount')) >= 2, { every: 100 });
      await engine.succeed('stop', '--time', '0', name);
      expect(await status(name)).toBe('exited');
    });

    test('wait answers each of several containers', async () => {
      const names = [await launch('sleep 0.5; exit 1'), await launch('sleep 0.2; exit 2')];
      expect(await engine.succeed('wait', ...names)).toBe('1\n2');
      expect(await engine.succeed('wait', ...names)).toBe('1\n2');
    });

    test('events tells of everything in order', async () => {
      const since = String(Date.now() / 1000 - 1);
      const name = await launch('sleep 3600');
      await engine.succeed('exec', name, 'true');
      await engine.succeed('pause', name);
      await engine.succeed('unpause', name);
      await engine.succeed('kill', name);
      await engine.succeed('wait', name);
      await engine.succeed('rm', name);
      const filters = ['--filter', `container=${name}`, '--filter', 'type=container', '--format', '{{json .}}'];
      const read = async (): Promise<string[]> => {
        const until = String(Date.now() / 1000);
        const lines = (await engine.succeed('events', '--since', since, '--until', until, ...filters)).split('\n');
        return lines.filter((line) => line !== '').map(describeEvent);
      };
      await waitFor(async () => (await read()).includes('destroy'));
      const told = await read();
      expect(told).toEqual([
        'create',
        'start',
        'exec_create: true',
        'exec_start: true',
        'exec_die 0',
        'pause',
        'unpause',
        'kill',
        'die 137',
        'destroy',
      ]);
    });

    test('rename, and the new name works', async () => {
      const name = await launch('sleep 3600');
      const fresh = uniqueName('r');
      await engine.succeed('rename', name, fresh);
      expect(await engine.succeed('exec', fresh, 'echo', 'here')).toBe('here');
      expect((await engine.docker(['exec', name, 'true'])).code).toBe(1);
    });

    test('cp brings files into and out of running and stopped containers', async () => {
      const name = await launch('sleep 3600');
      const source = path.join(engine.directory, uniqueName('file'));
      writeFileSync(source, 'content\n');
      await engine.succeed('cp', source, `${name}:/tmp/in`);
      expect(await engine.succeed('exec', name, 'cat', '/tmp/in')).toBe('content');
      await engine.succeed('kill', name);
      await engine.succeed('wait', name);
      await engine.succeed('cp', `${name}:/tmp/in`, `${source}.out`);
      expect(readFileSync(`${source}.out`, 'utf8')).toBe('content\n');
    });

    test('a healthcheck runs and its answer is shown', async () => {
      const check = ['--health-cmd', '[ -f /tmp/well ]', '--health-interval', '0.3s', '--health-retries', '1'];
      const name = await launch('touch /tmp/well; sleep 3600', ...check);
      const health = () => engine.inspect(name, '.State.Health.Status');
      await waitFor(async () => (await health()) === 'healthy', { every: 100, budget: 30_000 });
      await engine.succeed('exec', name, 'rm', '/tmp/well');
      await waitFor(async () => (await health()) !== 'healthy', { every: 100, budget: 30_000 });
      expect(await health()).toBe('unhealthy');
    });

    test('rm -f of a running container, and again', async () => {
      const name = await launch('sleep 3600');
      expect((await engine.docker(['rm', name])).code).toBe(1);
      await engine.succeed('rm', '--force', name);
      expect((await engine.docker(['inspect', name])).code).toBe(1);
    });

    test('attach shows the output and ends with the status', async () => {
      const name = await launch('while [ ! -f /tmp/end ]; do echo tick; sleep 0.1; done; exit 8');
      const attached = engine.startDocker(['attach', '--no-stdin', name]);
      await waitFor(() => attached.stdout.includes('tick'), { doing: 'output' });
      await engine.succeed('exec', name, 'touch', '/tmp/end');
      expect(await attached.finished).toMatchObject({ code: 8 });
    });
  },
);

/** `die 137` for a line of `docker events`. */
function describeEvent(line: string): string {
  const { Action, Actor } = JSON.parse(line) as { Action: string; Actor: { Attributes: { exitCode?: string } } };
  const { exitCode } = Actor.Attributes;
  return (exitCode === undefined ? Action : `${Action} ${exitCode}`).trim();
}
