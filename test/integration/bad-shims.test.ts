import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tasksDefinition } from '../../src/shared/grpc/index.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { fixtureRuntime, fixtureShims } from '../helpers/fixture-shims.ts';
import {
  createContainer,
  createTask,
  deleteContainer,
  endTask,
  launch,
  listTasks,
  startTask,
  subscribe,
} from '../helpers/tasks.ts';
import { uniqueName } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';

/** Runtimes that no task can be created with: what they do, the code that says so, and what the message has to have. */
const cases = [
  ['is not installed', fixtureRuntime('no-such'), 'UNKNOWN', /containerd-shim-no-such-v1 is not installed/],
  [
    'is a path where nothing is',
    '/nonexistent/containerd-shim-x-v1',
    'UNKNOWN',
    /\/nonexistent\/containerd-shim-x-v1.*installed/,
  ],
  ['is a path of something that cannot be run', path.join(fixtureShims, 'lib/frames.mjs'), 'UNKNOWN', /frames\.mjs/],
  ['has no dot in its name', 'runc', 'INVALID_ARGUMENT', /io\.containerd\.runc\.v2/],
  ['is a relative path', './containerd-shim-runc-v2', 'INVALID_ARGUMENT', /absolute path/],
  ['prints rubbish', fixtureRuntime('rubbish'), 'UNKNOWN', /usage: rubbish/],
  ['never answers start', fixtureRuntime('silent-start'), 'DEADLINE_EXCEEDED', /start/],
  ['exits non-zero with a reason', fixtureRuntime('failing-start'), 'UNKNOWN', /the moon is in the wrong phase/],
  ['dies at start', fixtureRuntime('dying-start'), 'UNKNOWN', /panic: runtime error: fixture/],
  ['answers a socket that refuses', fixtureRuntime('refusing-socket'), 'UNAVAILABLE', /refused/],
  ['speaks a version from the future', fixtureRuntime('future-version'), 'UNIMPLEMENTED', /version 4/],
  ['speaks an unknown protocol', fixtureRuntime('odd-protocol'), 'UNKNOWN', /carrier-pigeon/],
  ['never answers Create', fixtureRuntime('hanging-create'), 'DEADLINE_EXCEEDED', /./],
  ['fails Create', fixtureRuntime('failing-create'), 'UNKNOWN', /executable file not found in \$PATH/],
  ['answers Create with garbage', fixtureRuntime('garbage'), undefined, /./],
] as const;

/** A create that outlasted its deadline may still be undone when nothing is to be seen of it any more. */
async function reuse(daemon: Daemon, id: string): Promise<true> {
  await deleteContainer(daemon, id).catch(() => undefined);
  await launch(daemon, id, { runtime: fixtureRuntime('plain') });
  return true;
}

describe('a runtime that', () => {
  let daemon: Daemon;

  beforeAll(async () => {
    daemon = await Daemon.start({
      programs: [fixtureShims],
      config: '[deadlines]\nstart = "5s"\ncall = "8s"\n',
    });
  });

  afterAll(() => daemon?.[Symbol.asyncDispose]());

  test.each(cases)('%s fails the create with its reason and leaves nothing', async (_, runtime, code, message) => {
    const id = uniqueName('c');
    const events = subscribe(daemon, 'topic~=|^/tasks/|');
    await createContainer(daemon, id, { runtime });

    const failure = await failureOf(createTask(daemon, id));
    expect(failure.message).toMatch(message);
    expect(failure.message).not.toMatch(/ENOENT|EACCES|ECONNREFUSED/);
    // Docker takes that for a missing container.
    expect(code === 'UNKNOWN' ? failure.message.replace(/executable file not found/, '') : '').not.toContain(
      'not found',
    );
    expect(failure.code).toBe(code ?? failure.code);

    expect(await failureOf(daemon.client.call(tasksDefinition.get, { containerId: id }))).toMatchObject({
      code: 'NOT_FOUND',
    });
    expect((await listTasks(daemon)).map((task) => task.id)).not.toContain(id);
    await deleteContainer(daemon, id);
    expect(await daemon.settled()).toEqual(nothingLeft);
    // The id is free: a runtime that works can have it.
    await waitFor(() => reuse(daemon, id), { doing: 'the id to be free' });
    await endTask(daemon, id);
    expect(await daemon.settled()).toEqual(nothingLeft);
    const creations = events.messages.filter(({ topic }) => topic === '/tasks/create');
    events.cancel();
    expect(creations).toHaveLength(1);
  });

  test('never answers Create keeps its id until that is undone, and who creates it meanwhile waits', async () => {
    const id = uniqueName('c');
    await createContainer(daemon, id, { runtime: fixtureRuntime('hanging-create') });
    // Long enough for Create to reach the shim on a busy machine.
    const failure = await failureOf(createTask(daemon, id, { budget: 7000 }));
    expect(failure).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(await failureOf(daemon.client.call(tasksDefinition.get, { containerId: id }))).toMatchObject({
      code: 'NOT_FOUND',
    });
    await deleteContainer(daemon, id);
    await createContainer(daemon, id, { runtime: fixtureRuntime('plain') });
    // Neither ALREADY_EXISTS, of a task that nobody can see, nor a second task beside the remains of the first.
    const second = createTask(daemon, id, { budget: 30_000 });
    const impatient = createTask(daemon, id, { budget: 500 });
    expect(await failureOf(impatient)).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(await second).toBeGreaterThan(0);
    await startTask(daemon, id);
    await endTask(daemon, id);
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});
