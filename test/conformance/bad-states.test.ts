import { existsSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { adminDefinition, tasksDefinition } from '../../src/shared/grpc/index.ts';
import { containerd } from '../../src/shared/proto/gen/task.js';
import { typeUrls, wireAny } from '../../src/shared/wire/any.ts';
import { CallError } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { combinations, haveRuntimes } from '../helpers/runtimes.ts';
import { jsonAny, processSpec } from '../helpers/spec.ts';
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

const linuxResources = 'types.containerd.io/opencontainers/runtime-spec/1/LinuxResources';
const execSpec = wireAny(jsonAny(typeUrls.process, processSpec({ args: ['true'] })));
const resourcesOf = (text: string) => wireAny({ typeUrl: linuxResources, value: Buffer.from(text) });

type Outcomes = Readonly<Record<string, string>>;

const noSuchExec = 'NOT_FOUND process does not exist nope: not found';
const ok = 'OK';

/** Refused before it is asked what there is. */
const refusedAnyway: Outcomes = {
  'kill with signal 0': 'INVALID_ARGUMENT invalid signal 0: give a number from 1 to 64: invalid argument',
  'kill with signal 200': 'INVALID_ARGUMENT invalid signal 200: give a number from 1 to 64: invalid argument',
  'kill with signal 4294967295':
    'INVALID_ARGUMENT invalid signal 4294967295: give a number from 1 to 64: invalid argument',
  'resize to 65536 columns':
    'INVALID_ARGUMENT invalid terminal size 65536x24: give at most 65535 each: invalid argument',
  'resize to 4294967295 rows':
    'INVALID_ARGUMENT invalid terminal size 80x4294967295: give at most 65535 each: invalid argument',
  'update without resources': 'INVALID_ARGUMENT update of task <id> has no resources: invalid argument',
  'checkpoint without a path':
    'UNIMPLEMENTED checkpoint without an image path: shimd keeps no images, give a directory as image path: not implemented',
  'exec without an id': 'INVALID_ARGUMENT exec id cannot be empty',
  'exec with a path as id':
    'INVALID_ARGUMENT identifier "../x" must match ^[A-Za-z0-9]+(?:[_.-][A-Za-z0-9]+)*$: invalid argument',
  'exec without a spec': 'INVALID_ARGUMENT exec e has no spec: invalid argument',
  'delete of an exec without an id': 'INVALID_ARGUMENT exec id cannot be empty',
};

/** A task that is there, in whatever state: what differs is added. */
const ofTask: Outcomes = {
  ...refusedAnyway,
  get: ok,
  create: 'ALREADY_EXISTS task <id>: already exists',
  pids: ok,
  'close of stdin': ok,
  'resize to 80 by 24': ok,
  'start of an unknown exec': noSuchExec,
  'get of an unknown exec': noSuchExec,
  'wait for an unknown exec': noSuchExec,
  'kill of an unknown exec': noSuchExec,
  'resize of an unknown exec': noSuchExec,
  'close of stdin of an unknown exec': noSuchExec,
  'delete of an unknown exec': noSuchExec,
};

/** Every method that a state could be wrong for, but for create where there is no task, and what would change the state. */
const nothingThere = (message: string): Outcomes => ({
  ...Object.fromEntries(Object.keys(ofTask).map((name) => [name, `NOT_FOUND ${message}`])),
  ...Object.fromEntries(
    ['start', 'pause', 'resume', 'kill', 'kill of all', 'exec', 'update', 'update with bad JSON'].map((name) => [
      name,
      `NOT_FOUND ${message}`,
    ]),
  ),
  checkpoint: `NOT_FOUND ${message}`,
  wait: `NOT_FOUND ${message}`,
  delete: `NOT_FOUND ${message}`,
  ...refusedAnyway,
});

const badJson = 'UNKNOWN unexpected end of JSON input';
const notRunning = 'FAILED_PRECONDITION container <id> init process is not running: failed precondition';

/** Nothing here changes the state, so that all of it can be asked of one task. */
const states = {
  created: {
    ...ofTask,
    exec: notRunning,
    pause: 'UNKNOWN cannot pause task in created state',
    resume: 'UNKNOWN cannot resume task in created state',
    checkpoint: 'UNKNOWN cannot checkpoint a task in created state',
    update: ok,
    'update with bad JSON': badJson,
  },
  running: {
    ...ofTask,
    start: 'INVALID_ARGUMENT cannot start a running process: <id> runs already: invalid argument',
    resume: 'UNKNOWN cannot resume a running process',
    delete: 'UNKNOWN cannot delete a running process: <id>: kill it first: unknown',
    update: ok,
    'update with bad JSON': badJson,
  },
  paused: {
    ...ofTask,
    start: 'INVALID_ARGUMENT cannot start a running process: <id> runs already: invalid argument',
    exec: 'UNKNOWN cannot exec in a paused state',
    pause: 'UNKNOWN cannot pause a paused container',
    delete: 'UNKNOWN cannot delete a running process: <id>: kill it first: unknown',
    update: ok,
    'update with bad JSON': badJson,
  },
  ended: {
    ...ofTask,
    start: 'INVALID_ARGUMENT cannot start a stopped process: <id> has ended: invalid argument',
    exec: notRunning,
    pause: 'UNKNOWN cannot pause a stopped container',
    resume: 'UNKNOWN cannot resume a stopped container',
    checkpoint: 'UNKNOWN cannot checkpoint a stopped container',
    update: 'UNKNOWN cannot update a stopped container',
    'update with bad JSON': 'UNKNOWN cannot update a stopped container',
    kill: 'NOT_FOUND process already finished: not found',
    'kill of all': 'NOT_FOUND process already finished: not found',
    wait: ok,
  },
} satisfies Record<string, Outcomes>;

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

  /** The calls by the names of the tables above. */
  function callsOf(containerId: string): Readonly<Record<string, () => Promise<unknown>>> {
    const { client } = daemon;
    const unknown = { containerId, execId: 'nope' };
    const imagePath = path.join(daemon.directory, 'checkpoint');
    const checkpointOptions = wireAny({
      typeUrl: typeUrls.runcCheckpointOptions,
      value: Buffer.from(containerd.runc.v1.CheckpointOptions.encode({ imagePath }).finish()),
    });
    const kill = (signal: number, more: object = {}) =>
      client.call(tasksDefinition.kill, { containerId, signal, ...more });
    const resize = (width: number, height: number, of = { containerId, execId: '' }) =>
      client.call(tasksDefinition.resizePty, { ...of, width, height });
    const update = (more: object) => client.call(tasksDefinition.update, { containerId, ...more });
    const exec = (execId: string, more: object = { spec: execSpec }) =>
      client.call(tasksDefinition.exec, { containerId, execId, ...more });
    const removeExec = (execId: string) => client.call(tasksDefinition.deleteProcess, { containerId, execId });
    return {
      get: () => client.call(tasksDefinition.get, { containerId }),
      create: () => createTask(daemon, containerId),
      start: () => client.call(tasksDefinition.start, { containerId }),
      pause: () => client.call(tasksDefinition.pause, { containerId }),
      resume: () => client.call(tasksDefinition.resume, { containerId }),
      wait: () => client.call(tasksDefinition.wait, { containerId }),
      delete: () => client.call(tasksDefinition.delete, { containerId }),
      pids: () => client.call(tasksDefinition.listPids, { containerId }),
      kill: () => kill(9),
      'kill of all': () => kill(9, { all: true }),
      'kill with signal 0': () => kill(0),
      'kill with signal 200': () => kill(200),
      'kill with signal 4294967295': () => kill(4_294_967_295),
      'kill of an unknown exec': () => kill(9, { execId: 'nope' }),
      'resize to 80 by 24': () => resize(80, 24),
      'resize to 65536 columns': () => resize(65_536, 24),
      'resize to 4294967295 rows': () => resize(80, 4_294_967_295),
      'resize of an unknown exec': () => resize(80, 24, unknown),
      'close of stdin': () => client.call(tasksDefinition.closeIO, { containerId, stdin: true }),
      'close of stdin of an unknown exec': () => client.call(tasksDefinition.closeIO, { ...unknown, stdin: true }),
      update: () => update({ resources: resourcesOf('{"memory":{"limit":67108864}}') }),
      'update without resources': () => update({}),
      'update with bad JSON': () => update({ resources: resourcesOf('{"memory":') }),
      checkpoint: () => client.call(tasksDefinition.checkpoint, { containerId, options: checkpointOptions }),
      'checkpoint without a path': () => client.call(tasksDefinition.checkpoint, { containerId }),
      exec: () => exec('e'),
      'exec without an id': () => exec(''),
      'exec with a path as id': () => exec('../x'),
      'exec without a spec': () => exec('e', {}),
      'start of an unknown exec': () => client.call(tasksDefinition.start, unknown),
      'get of an unknown exec': () => client.call(tasksDefinition.get, unknown),
      'wait for an unknown exec': () => client.call(tasksDefinition.wait, unknown),
      'delete of an unknown exec': () => removeExec('nope'),
      'delete of an exec without an id': () => removeExec(''),
    };
  }

  /** What each of the calls of a table comes to, in the table's words. */
  async function outcomesOf(id: string, expected: Outcomes): Promise<Outcomes> {
    const calls = callsOf(id);
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
