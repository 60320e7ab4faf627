import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { adminDefinition, sandboxControllerDefinition as controller } from '../../src/shared/grpc/index.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { type Combination, combinations, haveRuntimes } from '../helpers/runtimes.ts';
import {
  createMember,
  createSandbox,
  launchIn,
  removeSandbox,
  sandboxStatus,
  startSandbox,
  stopSandbox,
} from '../helpers/sandboxes.ts';
import {
  createTask,
  deleteContainer,
  deleteTask,
  endTask,
  getTask,
  killTask,
  runcRuntime as runtime,
  Status,
  startTask,
  waitTask,
} from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { type Moment, StallingRunc } from './lib/stalling-runc.ts';

/** Of Debian's shims only 1.7's has the sandbox service. */
const found = combinations.filter(
  ({ generation, placement }) => placement === 'per-task' && generation.version.startsWith('1.7.'),
);
const serving: readonly Combination[] = found.length > 0 || haveRuntimes ? found : combinations.slice(0, 1);

describe.skipIf(!haveRuntimes).each(serving)('a sandbox of $title', ({ generation }) => {
  let daemon: Daemon;
  let runc: StallingRunc;

  beforeEach(async () => {
    runc = new StallingRunc();
    daemon = await Daemon.start({ generation, programs: [runc.directory] });
  });

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  async function shimPid(): Promise<number> {
    const { shims } = await daemon.client.call(adminDefinition.listShims, {});
    const shim = shims.find(({ id }) => id === 'pod');
    if (!shim?.pid) throw new Error('the sandbox has no shim');
    return shim.pid;
  }

  async function waitAndDelete(id: string): Promise<number> {
    await waitTask(daemon, id);
    return deleteTask(daemon, id);
  }

  /** The exits of the tasks that were ever told, as `one 137`. */
  async function exitsTold(): Promise<string[]> {
    const filter = `namespace==${daemon.namespace},topic=="/tasks/exit"`;
    const { stdout } = await daemon.shimd(['events', '--json', '--no-follow', '--since', 'oldest', '-f', filter]);
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const { event } = JSON.parse(line) as { event: { containerId: string; exitStatus: number } };
        return `${event.containerId} ${event.exitStatus}`;
      });
  }

  test.each([
    ['Start', (): Promise<unknown> => startSandbox(daemon, 'pod')],
    ['Stop', (): Promise<unknown> => stopSandbox(daemon, 'pod')],
    ['Shutdown', (): Promise<unknown> => daemon.client.call(controller.shutdown, { sandboxId: 'pod' })],
  ])('whose %s is cut off by kill -9 can be removed, and each of its tasks has one exit', async (method, call) => {
    await createSandbox(daemon, 'pod', { runtime });
    const isStarted = method !== 'Start';
    if (isStarted) {
      await startSandbox(daemon, 'pod');
      await launchIn(daemon, 'pod', 'one');
    }
    const shim = await shimPid();
    process.kill(shim, 'SIGSTOP');
    try {
      call().catch(() => undefined);
      await waitFor(
        async () => {
          const { slots } = await daemon.client.call(adminDefinition.listSlots, {});
          return slots.some(({ operations }) => (operations ?? 0) > 0);
        },
        { doing: `${method} to be under way` },
      );
      await daemon.kill();
    } finally {
      process.kill(shim, 'SIGCONT');
    }
    await daemon.start();
    const { state } = await sandboxStatus(daemon, 'pod');
    expect(['SANDBOX_READY', 'SANDBOX_NOTREADY']).toContain(state);
    await removeSandbox(daemon, 'pod');
    if (isStarted) {
      await waitTask(daemon, 'one');
      await deleteTask(daemon, 'one');
      await deleteContainer(daemon, 'one');
      await waitFor(async () => (await exitsTold()).length > 0, { doing: 'the exit to be told' });
    }
    expect(await exitsTold()).toEqual(isStarted ? ['one 137'] : []);
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test.each<[Moment, 'create' | 'start' | 'delete']>([
    ['before', 'create'],
    ['after', 'create'],
    ['before', 'start'],
    ['after', 'start'],
    ['before', 'delete'],
    ['after', 'delete'],
  ])(
    'in which a task is cut off by kill -9 %s runc runs %s has it whole or not at all, and its others go on',
    async (moment, command) => {
      await createSandbox(daemon, 'pod', { runtime });
      await startSandbox(daemon, 'pod');
      const neighbour = await launchIn(daemon, 'pod', 'neighbour');
      await createMember(daemon, 'pod', 'cut');
      if (command !== 'create') await createTask(daemon, 'cut');
      if (command === 'delete') {
        await startTask(daemon, 'cut');
        process.kill((await getTask(daemon, 'cut')).pid ?? 0, 'SIGKILL');
        await waitTask(daemon, 'cut');
      }
      runc.stall(moment, command, 'cut');
      const calls = { create: createTask, start: startTask, delete: deleteTask } as const;
      calls[command](daemon, 'cut').catch(() => undefined);
      await runc.reached(moment, command);
      await daemon.kill();
      runc.release(moment, command);
      await daemon.start();

      expect(await getTask(daemon, 'neighbour')).toMatchObject({ pid: neighbour, status: Status.RUNNING });
      expect(await sandboxStatus(daemon, 'pod')).toMatchObject({ state: 'SANDBOX_READY' });
      const task = await getTask(daemon, 'cut').catch(() => undefined);
      if (task?.status === Status.CREATED) await startTask(daemon, 'cut').catch(() => undefined);
      const isOver = task === undefined || task.status === Status.STOPPED;
      if (!isOver) await killTask(daemon, 'cut');
      const status = task === undefined ? 137 : await waitAndDelete('cut');
      expect(status).toBe(137);
      await deleteContainer(daemon, 'cut');
      await endTask(daemon, 'neighbour');
      await removeSandbox(daemon, 'pod');
      const exits = await exitsTold();
      expect(new Set(exits).size).toBe(exits.length);
      expect(await daemon.settled()).toEqual(nothingLeft);
    },
  );
});
