import { existsSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { adminDefinition, tasksDefinition } from '../../src/shared/grpc/index.ts';
import { CallError } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { combinations, haveRuntimes } from '../helpers/runtimes.ts';
import {
  addExec,
  createContainer,
  createTask,
  deleteContainer,
  deleteTask,
  endTask,
  getTask,
  killTask,
  launch,
  Status,
  startTask,
  waitTask,
} from '../helpers/tasks.ts';
import { callsOf, execSpec } from './lib/bad-state-calls.ts';
import { nothingThere, type Outcomes, ok, states } from './lib/bad-state-outcomes.ts';

describe.skipIf(!haveRuntimes).each(combinations)('every method with $title', ({ generation, placement }) => {
  let daemon: Daemon;
  /** A task that has to live through it all; with shared placement it is in the same shim. */
  let bystander: number;

  beforeAll(async () => {
    daemon = await Daemon.start({ generation, placement });
    bystander = await launch(daemon, 'bystander');
  });

  /** No request broke a shim. */
  afterEach(async () => {
    expect(await getTask(daemon, 'bystander')).toMatchObject({ pid: bystander, status: Status.RUNNING });
    const { shims } = await daemon.client.call(adminDefinition.listShims, {});
    for (const { pid } of shims) expect(existsSync(`/proc/${pid}`)).toBe(true);
  });

  afterAll(async () => {
    try {
      await endTask(daemon, 'bystander');
      expect(await daemon.settled()).toEqual(nothingLeft);
    } finally {
      await daemon?.[Symbol.asyncDispose]();
    }
  });

  /** What each of the calls of a table comes to, in the table's words. */
  async function outcomesOf(id: string, expected: Outcomes): Promise<Outcomes> {
    const calls = callsOf(daemon, id);
    const outcomes: Record<string, string> = {};
    for (const name of Object.keys(expected)) {
      const call = calls[name];
      if (call === undefined) throw new Error(`no call is named ${name}`);
      outcomes[name] = await call().then(
        () => ok,
        (error: unknown) => (error instanceof CallError ? `${error.code} ${error.message}` : String(error)),
      );
    }
    return outcomes;
  }

  /** The table, with the names of this task in it. */
  const named = (table: Outcomes, id: string): Outcomes =>
    Object.fromEntries(
      Object.entries(table).map(([name, outcome]) => [
        name,
        outcome.replaceAll('<id>', id).replaceAll('<ns>', daemon.namespace),
      ]),
    );

  test('says of a container that is not there that it is not', async () => {
    const table = nothingThere('container "<id>" in namespace "<ns>": not found');
    expect(await outcomesOf('none', table)).toEqual(named(table, 'none'));
  });

  test('says of a container without a task that there is none', async () => {
    await createContainer(daemon, 'taskless');
    const { create: _, ...table } = nothingThere('task <id> not found');
    expect(await outcomesOf('taskless', table)).toEqual(named(table, 'taskless'));
    await deleteContainer(daemon, 'taskless');
  });

  test('knows what a task that was created and not started can do', async () => {
    await createContainer(daemon, 'created');
    await createTask(daemon, 'created');
    expect(await outcomesOf('created', states.created)).toEqual(named(states.created, 'created'));
    expect(await getTask(daemon, 'created')).toMatchObject({ status: Status.CREATED });
    await startTask(daemon, 'created');
    await endTask(daemon, 'created');
  });

  test('knows what a running and a paused task can do', async () => {
    const pid = await launch(daemon, 'runner');
    expect(await outcomesOf('runner', states.running)).toEqual(named(states.running, 'runner'));
    expect(await getTask(daemon, 'runner')).toMatchObject({ pid, status: Status.RUNNING });
    await daemon.client.call(tasksDefinition.pause, { containerId: 'runner' });
    expect(await outcomesOf('runner', states.paused)).toEqual(named(states.paused, 'runner'));
    expect(await getTask(daemon, 'runner')).toMatchObject({ pid, status: Status.PAUSED });
    await daemon.client.call(tasksDefinition.resume, { containerId: 'runner' });
    await endTask(daemon, 'runner');
  });

  test('knows what an ended task can do, and that it is gone when it is deleted', async () => {
    await launch(daemon, 'ended');
    await killTask(daemon, 'ended');
    await waitTask(daemon, 'ended');
    expect(await outcomesOf('ended', states.ended)).toEqual(named(states.ended, 'ended'));
    expect(await getTask(daemon, 'ended')).toMatchObject({ status: Status.STOPPED, exitStatus: 137 });
    expect(await deleteTask(daemon, 'ended')).toBe(137);
    const { create: _, ...table } = nothingThere('task <id> not found');
    expect(await outcomesOf('ended', table)).toEqual(named(table, 'ended'));
    await deleteContainer(daemon, 'ended');
  });

  test('ends a paused task that is killed', async () => {
    await launch(daemon, 'frozen');
    await daemon.client.call(tasksDefinition.pause, { containerId: 'frozen' });
    await killTask(daemon, 'frozen');
    expect(await waitTask(daemon, 'frozen')).toEqual({ status: 137 });
    expect(await deleteTask(daemon, 'frozen')).toBe(137);
    await deleteContainer(daemon, 'frozen');
  });

  test('knows what an exec can do in each of its states', async () => {
    await launch(daemon, 'task');
    const { client } = daemon;
    const of = (execId: string) => ({ containerId: 'task', execId });
    const outcomes = async (execId: string): Promise<Outcomes> => {
      const calls = {
        exec: () => client.call(tasksDefinition.exec, { ...of(execId), spec: execSpec }),
        'kill with signal 0': () => client.call(tasksDefinition.kill, { ...of(execId), signal: 0 }),
        'resize out of range': () =>
          client.call(tasksDefinition.resizePty, { ...of(execId), width: 70_000, height: 1 }),
        'close of stdin': () => client.call(tasksDefinition.closeIO, { ...of(execId), stdin: true }),
        ...(execId === 'made' ? {} : { start: () => startTask(daemon, 'task', execId) }),
        ...(execId === 'running'
          ? {}
          : { kill: () => client.call(tasksDefinition.kill, { ...of(execId), signal: 9 }) }),
        delete: async () => {
          const { exitStatus } = await client.call(tasksDefinition.deleteProcess, of(execId));
          return `with ${exitStatus}`;
        },
      };
      const found: Record<string, string> = {};
      for (const [name, call] of Object.entries(calls)) {
        found[name] = await call().then(
          (answer) => (typeof answer === 'string' ? answer : ok),
          (error: unknown) => (error instanceof CallError ? `${error.code} ${error.message}` : String(error)),
        );
      }
      return found;
    };
    const always = (execId: string): Outcomes => ({
      exec: `ALREADY_EXISTS id ${execId}: already exists`,
      'kill with signal 0': 'INVALID_ARGUMENT invalid signal 0: give a number from 1 to 64: invalid argument',
      'resize out of range':
        'INVALID_ARGUMENT invalid terminal size 70000x1: give at most 65535 each: invalid argument',
      'close of stdin': ok,
    });

    await addExec(daemon, 'task', 'made', ['true']);
    expect(await outcomes('made')).toEqual({
      ...always('made'),
      kill: 'FAILED_PRECONDITION exec made: process not created: failed precondition',
      delete: 'with 0',
    });

    await addExec(daemon, 'task', 'bad', ['/bin/nope']);
    const waiting = waitTask(daemon, 'task', 'bad').catch(String);
    await expect(startTask(daemon, 'task', 'bad')).rejects.toThrow(/\/bin\/nope.*no such file or directory/);
    // It never ran: there is no status that could be told, now or later.
    const neverRan = 'cannot wait for process bad: its start failed: failed precondition';
    expect(await waiting).toContain(neverRan);
    expect(await waitTask(daemon, 'task', 'bad').catch(String)).toContain(neverRan);
    expect(await outcomes('bad')).toEqual({
      ...always('bad'),
      start:
        'INVALID_ARGUMENT cannot start process bad: an earlier start failed, delete it and create it again: invalid argument',
      kill: 'FAILED_PRECONDITION exec bad: process not created: failed precondition',
      delete: expect.stringMatching(/^with \d+$/),
    });

    await addExec(daemon, 'task', 'running', ['sleep', '3600']);
    await startTask(daemon, 'task', 'running');
    expect(await outcomes('running')).toEqual({
      ...always('running'),
      start: 'INVALID_ARGUMENT cannot start a running process: running runs already: invalid argument',
      delete: 'UNKNOWN cannot delete a running process: running: kill it first: unknown',
    });

    await addExec(daemon, 'task', 'ended', ['/bin/sh', '-c', 'exit 3']);
    await startTask(daemon, 'task', 'ended');
    expect(await waitTask(daemon, 'task', 'ended')).toEqual({ status: 3 });
    expect(await outcomes('ended')).toEqual({
      ...always('ended'),
      start: 'INVALID_ARGUMENT cannot start a stopped process: ended has ended: invalid argument',
      kill: 'NOT_FOUND process already finished: not found',
      delete: 'with 3',
    });
    await endTask(daemon, 'task');
  });
});
