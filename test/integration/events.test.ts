import { readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runtimeName } from '../../src/process-shim/about.ts';
import { adminDefinition, eventsDefinition } from '../../src/shared/grpc/index.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { exitsIn } from '../helpers/tasks.ts';
import { uniqueName } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';

interface Line {
  readonly cursor: number;
  readonly timestamp: string;
  readonly topic: string;
  readonly namespace: string;
  readonly event: Readonly<Record<string, unknown>>;
}

describe('what happened can be read again', () => {
  let daemon: Daemon;

  beforeAll(async () => {
    daemon = await Daemon.start();
  });

  afterAll(() => daemon?.[Symbol.asyncDispose]());

  async function events(...args: string[]): Promise<Line[]> {
    const { code, stdout, stderr } = await daemon.shimd(['events', '--json', '--no-follow', ...args]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line);
  }

  const topicsOf = (lines: readonly Line[]) => lines.map(({ topic }) => topic);

  async function run(id: string, script: string): Promise<void> {
    const command = ['run', '--detach', '--id', id, '--runtime', runtimeName, '--', 'sh', '-c', script];
    expect(await daemon.shimd(command)).toMatchObject({ code: 0, stderr: '' });
  }

  test('by a client that was away, from its cursor, a time, or all of it, with what is published meanwhile', async () => {
    const id = uniqueName('c');
    const began = new Date().toISOString();
    await run(id, 'exit 3');
    expect(await daemon.shimd(['wait', id])).toMatchObject({ code: 3 });
    expect(await daemon.shimd(['rm', id])).toMatchObject({ code: 0 });
    const all = await events('--since', 'oldest', '-f', `event.container_id==${id}`, '-f', `event.id==${id}`);
    expect(topicsOf(all)).toEqual([
      '/containers/create',
      '/tasks/create',
      '/tasks/start',
      '/tasks/exit',
      '/tasks/delete',
      '/containers/delete',
    ]);
    const start = all[2]?.cursor ?? 0;
    const rest = await events('--since', String(start));
    expect(rest).toEqual(all.slice(3));
    expect(topicsOf(await events('--since', began)).slice(-6)).toEqual(topicsOf(all));
    expect(await events('--since', '1h')).toEqual(expect.arrayContaining(all));
    expect(await events()).toEqual([]);

    const follower = daemon.startShimd(['events', '--json', '--since', String(start)]);
    await waitFor(() => follower.stdout.includes('/containers/delete'), { doing: 'the replay' });
    const more = uniqueName('c');
    await run(more, 'exit 0');
    await waitFor(() => follower.stdout.includes(`"id":"${more}"`), { doing: 'what happens after the replay' });
    follower.child.kill('SIGTERM');
    expect((await follower.finished).code).toBe(0);
    expect(await daemon.shimd(['rm', '--force', more])).toMatchObject({ code: 0 });
  });

  test('after the daemon was killed, with what ended while it was away, which a subscriber of later has too', async () => {
    const id = uniqueName('c');
    const gate = path.join(daemon.directory, id);
    await run(id, `while [ ! -e ${gate} ]; do sleep 0.05; done; exit 5`);
    const before = await events('--since', 'oldest');
    const last = before.at(-1)?.cursor ?? 0;
    const { stdout } = await daemon.shimd(['ps', '--json']);
    const [{ task }] = JSON.parse(stdout) as [{ task: { pid: number } }];

    await daemon.kill();
    writeFileSync(gate, '');
    await waitFor(() => !isAlive(task.pid), { doing: 'the end of a task that nobody watches' });
    await daemon.start();

    const after = await events('--since', String(last));
    expect(after).toMatchObject([{ topic: '/tasks/exit', event: { containerId: id, exitStatus: 5, pid: task.pid } }]);
    expect(await events('--since', 'oldest')).toEqual([...before, ...after]);
    // Held for whoever subscribes first, as ever.
    const stream = daemon.client.stream(eventsDefinition.subscribe, { filters: ['topic=="/tasks/exit"'] });
    await waitFor(() => stream.messages.length > 0, { doing: 'the held exit' });
    stream.cancel();
    // That was no event of its own.
    expect(await events('--since', String(last))).toEqual(after);

    await daemon.kill();
    await daemon.start();
    expect(await events('--since', 'oldest')).toEqual([...before, ...after]);
    expect(await daemon.shimd(['rm', id])).toMatchObject({ code: 0 });
    expect(topicsOf(await events('--since', String(last)))).toEqual([
      '/tasks/exit',
      '/tasks/delete',
      '/containers/delete',
    ]);
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('also an exit that the daemon had stored, and was killed before it recorded the event of', async () => {
    const id = uniqueName('c');
    const gate = path.join(daemon.directory, id);
    await run(id, `while [ ! -e ${gate} ]; do sleep 0.05; done; exit 6`);
    const before = await events('--since', 'oldest');
    const directory = path.join(daemon.root, '.metadata', 'events');
    const newest = path.join(directory, readdirSync(directory).toSorted().at(-1) ?? '');
    const { size } = statSync(newest);
    writeFileSync(gate, '');
    expect(await daemon.shimd(['wait', id])).toMatchObject({ code: 6 });
    await daemon.kill();
    expect(statSync(newest).size).toBeGreaterThan(size);
    truncateSync(newest, size);

    await daemon.start();
    const after = (await events('--since', 'oldest')).slice(before.length);
    expect(after).toMatchObject([{ topic: '/tasks/exit', event: { containerId: id, exitStatus: 6 } }]);
    // Nobody can have had it, so it is also held for the client of the namespace.
    const filters = [`namespace==${daemon.namespace},topic=="/tasks/exit"`];
    const stream = daemon.client.stream(eventsDefinition.subscribe, { filters });
    await waitFor(() => stream.messages.length > 0, { doing: 'the held exit' });
    stream.cancel();
    expect(exitsIn(stream.messages)).toMatchObject([{ container: id, status: 6 }]);

    await daemon.kill();
    await daemon.start();
    const later = daemon.client.stream(eventsDefinition.subscribe, { filters });
    expect(await daemon.shimd(['wait', id])).toMatchObject({ code: 6 });
    expect(await daemon.shimd(['rm', id])).toMatchObject({ code: 0 });
    expect(await events('--since', String(after[0]?.cursor), '-f', 'topic=="/tasks/exit"')).toEqual([]);
    expect(later.messages).toEqual([]);
    later.cancel();
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('until it is not kept any more: then a cursor is refused with what to do', async () => {
    const old = await daemon.shimd(['events', '--since', '17', '--no-follow']);
    expect(old).toMatchObject({ code: 1, stdout: '' });
    expect(old.stderr).toMatch(/cursor 17 are not kept any more, only those after \d+: list the tasks/);
    const future = await failureOf(daemon.client.stream(adminDefinition.events, { after: Date.now() * 2000 }).ended);
    expect(future).toMatchObject({ code: 'INVALID_ARGUMENT' });
    const wrong = await daemon.shimd(['events', '--since', 'yesterday']);
    expect(wrong).toMatchObject({ code: 2, stdout: '' });
    expect(wrong.stderr).toContain("--since 'yesterday': has to be a cursor, a time");
  });

  test('in order where many publish at once, from a stopped and killed daemon as well', async () => {
    const publish = (i: number) =>
      daemon.client.call(eventsDefinition.publish, { topic: '/my/topic', event: { type_url: `my.type/${i}` } });
    const last = (await events('--since', 'oldest')).at(-1)?.cursor ?? 0;
    const live = daemon.client.stream(eventsDefinition.subscribe, { filters: [`namespace==${daemon.namespace}`] });
    await waitFor(async () => {
      await publish(-1);
      return live.messages.length > 0;
    });
    const first = live.messages.length;
    await Promise.all(Array.from({ length: 2000 }, (_, i) => publish(i)));
    await waitFor(() => live.messages.length >= first + 2000, { doing: 'the live events' });
    const urls = live.messages.map(({ event }) => event?.type_url);
    live.cancel();
    const kept = async () => {
      const lines = await events('--since', String(last), '-f', 'topic=="/my/topic"');
      expect(lines.map(({ cursor }, i) => cursor - i)).toEqual(lines.map(() => last + 1));
      return (lines as unknown as { type: string }[]).map(({ type }) => type);
    };
    const replayed = await kept();
    expect(replayed.slice(-urls.length)).toEqual(urls);
    await daemon.stop();
    await daemon.start();
    expect(await kept()).toEqual(replayed);
    await daemon.kill();
    await daemon.start();
    expect(await kept()).toEqual(replayed);
  });
});
