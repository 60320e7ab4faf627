import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { tasksDefinition } from '../../src/shared/grpc/index.ts';
import { containerd as eventTypes } from '../../src/shared/proto/gen/events.js';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { FifoOutput, makeFifo, writeFifo } from '../helpers/fifo.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { type TaskRuntime, taskRuntimes } from '../helpers/task-runtimes.ts';
import {
  createTask,
  deleteContainer,
  deleteTask,
  type Envelope,
  getTask,
  killTask,
  listTasks,
  Status,
  startTask,
  subscribe,
  type TaskOptions,
  waitTask,
} from '../helpers/tasks.ts';
import { uniqueName } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';

const shell = (script: string): string[] => ['/bin/sh', '-c', script];
const sleeper = ['sleep', '3600'];

const SIGKILL = 9;
const SIGTERM = 15;

describe.each(taskRuntimes)('the task API on $title', (runtime: TaskRuntime) => {
  describe.skipIf(!runtime.isHere)('for a task', () => {
    let daemon: Daemon;
    let id: string;
    let outputs: FifoOutput[];

    beforeAll(async () => {
      daemon = await Daemon.start(runtime.daemon);
    });

    beforeEach(() => {
      id = uniqueName('t');
      outputs = [];
    });

    /** What a test has not deleted is a task's that it was not about the end of. */
    afterEach(async () => {
      for (const output of outputs) output.close();
      const tasks = await listTasks(daemon);
      if (tasks.some((task) => task.id === id)) {
        await killTask(daemon, id, SIGKILL).catch(() => undefined);
        await waitTask(daemon, id);
        await deleteTask(daemon, id);
      }
      await deleteContainer(daemon, id);
    });

    afterAll(async () => {
      try {
        expect(await daemon.settled()).toEqual(nothingLeft);
      } finally {
        await daemon?.[Symbol.asyncDispose]();
      }
    });

    async function create(args: readonly string[], options: TaskOptions = {}): Promise<number> {
      await runtime.createContainer(daemon, id, args, options.terminal ? { terminal: true } : {});
      return createTask(daemon, id, options);
    }

    async function run(args: readonly string[], options: TaskOptions = {}): Promise<number> {
      const pid = await create(args, options);
      expect(await startTask(daemon, id)).toBe(pid);
      return pid;
    }

    async function addExec(exec: string, args: readonly string[]): Promise<void> {
      await daemon.client.call(tasksDefinition.exec, { containerId: id, execId: exec, spec: runtime.processOf(args) });
    }

    const kill = (signal: number, options: { execId?: string; all?: boolean } = {}) =>
      daemon.client.call(tasksDefinition.kill, { containerId: id, signal, ...options });
    const deleteExec = (exec: string) =>
      daemon.client.call(tasksDefinition.deleteProcess, { containerId: id, execId: exec });
    const pids = async (): Promise<number[]> => {
      const { processes } = await daemon.client.call(tasksDefinition.listPids, { containerId: id });
      return processes.map(({ pid }) => pid ?? 0);
    };

    function fifo(name: string): string {
      return makeFifo(daemon.directory, `${id}-${name}`);
    }

    function read(file: string): FifoOutput {
      const output = new FifoOutput(file);
      outputs.push(output);
      return output;
    }

    const shows = (output: FifoOutput, text: string | RegExp): Promise<boolean> =>
      waitFor(() => (typeof text === 'string' ? output.text.includes(text) : text.test(output.text)), {
        doing: `the output to show ${text}`,
      });

    test('create makes a process whose program runs only after start', async () => {
      const stdout = fifo('out');
      const output = read(stdout);
      const pid = await create(shell('echo runs; exec sleep 3600'), { stdout });
      expect(pid).toBeGreaterThan(0);
      expect(isAlive(pid)).toBe(true);
      expect(await getTask(daemon, id)).toMatchObject({ id, pid, status: Status.CREATED, stdout });
      // A program that ran would be heard by now.
      await delay(100);
      expect(output.text).toBe('');
      expect(await startTask(daemon, id)).toBe(pid);
      await shows(output, 'runs\n');
      expect(await getTask(daemon, id)).toMatchObject({ id, pid, status: Status.RUNNING });
      expect(await listTasks(daemon)).toMatchObject([{ id, pid, status: Status.RUNNING }]);
    });

    test('a second create of a task that is there is refused', async () => {
      await create(sleeper);
      expect(await failureOf(createTask(daemon, id))).toMatchObject({ code: 'ALREADY_EXISTS' });
    });

    test('a task that was never started can be killed and deleted', async () => {
      const pid = await create(sleeper);
      await kill(SIGKILL);
      expect(await waitTask(daemon, id)).toEqual({ status: 137 });
      expect(isAlive(pid)).toBe(false);
      expect(await deleteTask(daemon, id)).toBe(137);
    });

    test.each([0, 3])(
      'an exit with status %i is told to those who waited and to those who ask later',
      async (status) => {
        await create(shell(`exit ${status}`));
        const early = daemon.client.call(tasksDefinition.wait, { containerId: id });
        await startTask(daemon, id);
        const exit = await early;
        expect(exit.exitStatus).toBe(status);
        expect(Math.abs(Number(exit.exitedAt?.seconds) - Date.now() / 1000)).toBeLessThan(60);
        expect(await daemon.client.call(tasksDefinition.wait, { containerId: id })).toEqual(exit);
        expect(await getTask(daemon, id)).toMatchObject({ status: Status.STOPPED, exitStatus: status });
        expect((await getTask(daemon, id)).exitedAt).toEqual(exit.exitedAt);
      },
    );

    test.each([
      { signal: SIGKILL, status: 137 },
      { signal: SIGTERM, status: 143 },
    ])('signal $signal to an exec ends it with $status and leaves the task', async ({ signal, status }) => {
      const pid = await run(sleeper);
      await addExec('e', sleeper);
      const execPid = await startTask(daemon, id, 'e');
      const waiting = waitTask(daemon, id, 'e');
      await kill(signal, { execId: 'e' });
      expect(await waiting).toEqual({ status });
      expect([isAlive(pid), isAlive(execPid)]).toEqual([true, false]);
      expect(await getTask(daemon, id)).toMatchObject({ status: Status.RUNNING });
      expect(await failureOf(kill(signal, { execId: 'e' }))).toMatchObject({ code: 'NOT_FOUND' });
      expect(await deleteExec('e')).toMatchObject({ id: 'e', pid: execPid, exitStatus: status });
    });

    test('a signal that the program handles lets it choose its status', async () => {
      const stdout = fifo('out');
      const output = read(stdout);
      await run(shell('trap "exit 3" TERM; echo ready; while :; do sleep 0.05; done'), { stdout });
      await shows(output, 'ready');
      await kill(SIGTERM);
      expect(await waitTask(daemon, id)).toEqual({ status: 3 });
    });

    test('SIGKILL ends the task with 137, and a kill after the end finds nothing', async () => {
      const pid = await run(sleeper);
      await kill(SIGKILL);
      expect(await waitTask(daemon, id)).toEqual({ status: 137 });
      expect(isAlive(pid)).toBe(false);
      const failure = await failureOf(kill(SIGKILL));
      expect(failure).toMatchObject({ code: 'NOT_FOUND', message: 'process already finished: not found' });
    });

    test('a kill of all ends init, what it started in other sessions, and execs', async () => {
      const stdout = fifo('out');
      const output = read(stdout);
      await run(shell('setsid sleep 3600 & sleep 3600 & echo up; wait'), { stdout });
      await addExec('e', sleeper);
      const exec = await startTask(daemon, id, 'e');
      await shows(output, 'up');
      const all = await waitFor(async () => {
        const found = await pids();
        return found.length === 4 ? found : undefined;
      });
      expect(all).toContain(exec);
      await kill(SIGKILL, { all: true });
      expect(await waitTask(daemon, id)).toEqual({ status: 137 });
      expect(await waitTask(daemon, id, 'e')).toEqual({ status: 137 });
      await waitFor(() => all.every((pid) => !isAlive(pid)), { doing: 'every process to end' });
    });

    test('an exec has a status, an exit and an end of its own', async () => {
      const pid = await run(sleeper);
      await addExec('e', shell('exit 3'));
      expect(await getTask(daemon, id, 'e')).toMatchObject({ id: 'e', status: Status.CREATED });
      expect(await failureOf(addExec('e', sleeper))).toMatchObject({ code: 'ALREADY_EXISTS' });
      const execPid = await startTask(daemon, id, 'e');
      expect(execPid).not.toBe(pid);
      expect(await waitTask(daemon, id, 'e')).toEqual({ status: 3 });
      expect(await getTask(daemon, id, 'e')).toMatchObject({ pid: execPid, status: Status.STOPPED, exitStatus: 3 });
      expect(await deleteExec('e')).toMatchObject({ id: 'e', pid: execPid, exitStatus: 3 });
      expect(await failureOf(getTask(daemon, id, 'e'))).toMatchObject({ code: 'NOT_FOUND' });
      expect(await failureOf(deleteExec('e'))).toMatchObject({ code: 'NOT_FOUND' });
      expect(await getTask(daemon, id)).toMatchObject({ pid, status: Status.RUNNING });
    });

    test('an exec that does not exist is found by no call', async () => {
      await run(sleeper);
      const calls = [startTask(daemon, id, 'x'), waitTask(daemon, id, 'x'), getTask(daemon, id, 'x'), deleteExec('x')];
      for (const call of [...calls, kill(SIGKILL, { execId: 'x' })]) {
        const failure = await failureOf(call);
        expect(failure).toMatchObject({ code: 'NOT_FOUND', message: expect.stringMatching(/: not found$/) });
      }
    });

    test('an exec that was never started is deleted with status 0', async () => {
      await run(sleeper);
      await addExec('e', sleeper);
      expect((await deleteExec('e')).exitStatus).toBe(0);
      expect(await failureOf(getTask(daemon, id, 'e'))).toMatchObject({ code: 'NOT_FOUND' });
    });

    test('a running exec is not deleted', async () => {
      await run(sleeper);
      await addExec('e', sleeper);
      const pid = await startTask(daemon, id, 'e');
      expect(await failureOf(deleteExec('e'))).toMatchObject({ code: 'UNKNOWN' });
      expect(isAlive(pid)).toBe(true);
      await kill(SIGKILL, { execId: 'e' });
      await waitTask(daemon, id, 'e');
      expect((await deleteExec('e')).exitStatus).toBe(137);
    });

    test('the pids are those of init and its execs', async () => {
      const pid = await run(sleeper);
      expect(await pids()).toEqual([pid]);
      await addExec('e', sleeper);
      const exec = await startTask(daemon, id, 'e');
      expect(new Set(await pids())).toEqual(new Set([pid, exec]));
    });

    test('a paused task stands still until it is resumed', async () => {
      const stdout = fifo('out');
      const output = read(stdout);
      await run(shell('while :; do echo tick; sleep 0.02; done'), { stdout });
      await shows(output, 'tick');
      await daemon.client.call(tasksDefinition.pause, { containerId: id });
      expect(await getTask(daemon, id)).toMatchObject({ status: Status.PAUSED });
      // What was written until then may still be on its way.
      await delay(50);
      const before = output.text.length;
      await delay(200);
      expect(output.text.length).toBe(before);
      await daemon.client.call(tasksDefinition.resume, { containerId: id });
      expect(await getTask(daemon, id)).toMatchObject({ status: Status.RUNNING });
      await waitFor(() => output.text.length > before, { doing: 'the task to go on' });
    });

    test('metrics name the task and hold counters of its cgroup or processes', async () => {
      await run(sleeper);
      const { metrics } = await daemon.client.call(tasksDefinition.metrics, { filters: [`id==${id}`] });
      expect(metrics).toHaveLength(1);
      expect(metrics[0]).toMatchObject({ id });
      expect(metrics[0]?.data?.type_url).toMatch(/^io\.containerd\.cgroups\.v[12]\.Metrics$/);
      expect(metrics[0]?.data?.value?.length).toBeGreaterThan(0);
    });

    test('standard input goes through a FIFO until CloseIO ends it, and all output is there when the task is deleted', async () => {
      const [stdin, stdout, stderr] = [fifo('in'), fifo('out'), fifo('err')];
      const [output, errors] = [read(stdout), read(stderr)];
      await run(shell('cat; echo end >&2'), { stdin, stdout, stderr });
      writeFifo(stdin, 'one\n');
      await shows(output, 'one\n');
      // The first writer is gone, and the next one is still heard.
      writeFifo(stdin, 'two\n');
      await shows(output, 'two\n');
      await daemon.client.call(tasksDefinition.closeIO, { containerId: id, stdin: true });
      expect(await waitTask(daemon, id)).toEqual({ status: 0 });
      expect(await deleteTask(daemon, id)).toBe(0);
      await waitFor(() => output.ended && errors.ended, { doing: 'both outputs to end' });
      expect([output.text, errors.text]).toEqual(['one\ntwo\n', 'end\n']);
    });

    test('a terminal can be resized and echoes its input', async () => {
      const [stdin, stdout] = [fifo('in'), fifo('out')];
      const output = read(stdout);
      await run(shell('test -t 0 && test -t 2 && echo terminal; read -r line; stty size; exit 3'), {
        stdin,
        stdout,
        terminal: true,
      });
      await shows(output, 'terminal\r\n');
      await daemon.client.call(tasksDefinition.resizePty, { containerId: id, width: 123, height: 45 });
      writeFifo(stdin, 'go\n');
      await shows(output, 'go\r\n45 123\r\n');
      expect(await waitTask(daemon, id)).toEqual({ status: 3 });
    });

    test('a terminal without an input stays open, and its process is not hung up on', async () => {
      const stdout = fifo('out');
      const output = read(stdout);
      await run(shell('sleep 0.5; test -t 0 && echo there; exit 4'), { stdout, terminal: true });
      expect(await waitTask(daemon, id)).toEqual({ status: 4 });
      await shows(output, 'there\r\n');
    });

    test('a running task is not deleted; an ended one is, once, with its exit', async () => {
      const pid = await run(sleeper);
      const refused = await failureOf(deleteTask(daemon, id));
      expect(refused).toMatchObject({
        code: 'UNKNOWN',
        message: expect.stringContaining('cannot delete a running process'),
      });
      expect(await getTask(daemon, id)).toMatchObject({ pid, status: Status.RUNNING });
      await kill(SIGKILL);
      const { exitedAt } = await daemon.client.call(tasksDefinition.wait, { containerId: id });
      const deleted = await daemon.client.call(tasksDefinition.delete, { containerId: id });
      expect(deleted).toMatchObject({ pid, exitStatus: 137 });
      expect(deleted.exitedAt).toEqual(exitedAt);
      for (const call of [deleteTask(daemon, id), getTask(daemon, id), waitTask(daemon, id), kill(SIGKILL)]) {
        expect(await failureOf(call)).toMatchObject({ code: 'NOT_FOUND' });
      }
      expect(await listTasks(daemon)).toEqual([]);
    });

    test('its events are published once each, in the order of its life', async () => {
      const events = subscribe(daemon, `namespace==${daemon.namespace},topic~=^/tasks/`);
      await run(sleeper);
      await addExec('e', shell('exit 3'));
      await startTask(daemon, id, 'e');
      await waitTask(daemon, id, 'e');
      await deleteExec('e');
      await daemon.client.call(tasksDefinition.pause, { containerId: id });
      await daemon.client.call(tasksDefinition.resume, { containerId: id });
      await kill(SIGKILL);
      await waitTask(daemon, id);
      await deleteTask(daemon, id);
      const own = (): string[] => events.messages.filter((envelope) => containerOf(envelope) === id).map(describeEvent);
      await waitFor(() => own().includes('/tasks/delete'), { doing: 'the end of the events' });
      // A repeated one would follow at once.
      await delay(100);
      events.cancel();
      expect(own()).toEqual([
        '/tasks/create',
        '/tasks/start',
        '/tasks/exec-added',
        '/tasks/exec-started',
        '/tasks/exit of e with 3',
        '/tasks/paused',
        '/tasks/resumed',
        `/tasks/exit of ${id} with 137`,
        '/tasks/delete',
      ]);
    });
  });
});

/** The first field of every task's event is its container's id. */
function containerOf({ event }: Envelope): string {
  return eventTypes.events.TaskPaused.decode(event?.value ?? new Uint8Array()).containerId;
}

function describeEvent({ topic, event }: Envelope): string {
  if (topic !== '/tasks/exit') return topic;
  const exit = eventTypes.events.TaskExit.decode(event?.value ?? new Uint8Array());
  return `${topic} of ${exit.id} with ${exit.exitStatus}`;
}
