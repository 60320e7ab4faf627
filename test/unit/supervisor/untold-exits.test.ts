import { expect, test } from 'vitest';
import { createEventTail, decodeEvent, Exchange } from '../../../src/events/index.ts';
import { parseSandboxId } from '../../../src/shared/identifiers.ts';
import { silentLogger } from '../../../src/shared/log/logger.ts';
import { Store } from '../../../src/store/store.ts';
import { ExitKeeper } from '../../../src/supervisor/exit-keeper.ts';
import { ExitRouter } from '../../../src/supervisor/exit-router.ts';
import { Registry } from '../../../src/supervisor/registry.ts';
import { Retries } from '../../../src/supervisor/retries.ts';
import { SandboxEvents } from '../../../src/supervisor/sandboxes/sandbox-events.ts';
import { TaskEvents } from '../../../src/supervisor/task-events.ts';
import { recordUntold } from '../../../src/supervisor/untold-exits.ts';
import { temporaryDirectory } from '../store/fixture.ts';
import { addExec, addTask, execOf, namespace, refOf } from './fixture.ts';

/** What a daemon has of its exits and their events; one that is `killed` records no event any more. */
async function open(directory: string) {
  const store = await Store.open(directory, { logger: silentLogger });
  const tail = createEventTail(store.events);
  let killed = false;
  const exchange = new Exchange({
    tail: {
      get cursor() {
        return tail.cursor;
      },
      append: (envelope) => (killed ? tail.cursor : tail.append(envelope)),
    },
  });
  const { exits, sandboxExits } = store;
  const retries = new Retries();
  const keeper = new ExitKeeper(exits, retries, silentLogger);
  const events = new TaskEvents(exchange, silentLogger, (process, owed) => keeper.setOwed(process, owed));
  const sandboxEvents = new SandboxEvents(exchange, silentLogger);
  const registry = new Registry();
  const router = new ExitRouter({ registry, exits: keeper, events, logger: silentLogger });
  return {
    store,
    events,
    sandboxEvents,
    registry,
    router,
    kill: () => {
      killed = true;
    },
    recordUntold: () => recordUntold({ exits, sandboxExits, events, sandboxEvents, logger: silentLogger }),
    recorded: async () => {
      const found: unknown[] = [];
      for await (const { envelope } of tail.read({ from: { kind: 'oldest' }, follow: false })) {
        found.push({ topic: envelope.topic, ...decodeEvent(envelope.event) });
      }
      return found;
    },
    close: async () => {
      router.close();
      retries.close();
      await store.close();
    },
  };
}

const exitOf = (pid: number, status: number) => ({ pid, status, exitedAt: { seconds: 100, nanos: 1 } });
const eventOf = (id: string, exitStatus: number) =>
  expect.objectContaining({ topic: '/tasks/exit', containerId: 'a', id, exitStatus });

test('an exit that was stored, and whose event was not when the daemon was killed, has it at the next start, once', async () => {
  const directory = await temporaryDirectory();
  const first = await open(directory);
  const task = addTask(first.registry, 'a', { running: true });
  for (const [exec, pid] of Object.entries({ told: 11, untold: 12 })) addExec(task, exec, pid);
  first.router.exit(execOf('a', 'told'), exitOf(11, 1), 'wait');
  first.kill();
  first.router.exit(execOf('a', 'untold'), exitOf(12, 2), 'wait');
  await first.close();

  for (let starts = 0; starts < 3; starts += 1) {
    const next = await open(directory);
    next.recordUntold();
    expect(await next.recorded()).toEqual([eventOf('told', 1), eventOf('untold', 2)]);
    expect(next.store.exits.get(execOf('a', 'told'))?.owed).toBeUndefined();
    // Nobody had it.
    expect(next.store.exits.get(execOf('a', 'untold'))).toMatchObject({ status: 2, owed: 'anybody' });
    await next.close();
  }
});

test('an exit is not told again that was told, has no event, or corrected one that was told', async () => {
  const directory = await temporaryDirectory();
  const first = await open(directory);
  addTask(first.registry, 'a', { running: true });
  first.router.exit(refOf('a'), exitOf(10, 137), 'made-up');
  first.router.exit(refOf('a'), exitOf(10, 5), 'wait');
  // Of one that never ran nothing is told.
  addTask(first.registry, 'b', { pid: 0 });
  first.router.exit(refOf('b'), exitOf(0, 255), 'made-up');
  await first.close();
  const next = await open(directory);
  next.recordUntold();
  expect(await next.recorded()).toEqual([eventOf('a', 137)]);
  expect([...next.store.exits.list()].map(({ exit }) => [exit.status, exit.owed])).toEqual([
    [5, undefined],
    [255, undefined],
  ]);
  await next.close();
});

test('the exit of a sandbox that was stored, and whose event was not, has it at the next start, once', async () => {
  const directory = await temporaryDirectory();
  const sandbox = { namespace, sandbox: parseSandboxId('s') };
  const first = await open(directory);
  first.events.oom(refOf('a'));
  const told = await first.recorded();
  first.store.sandboxExits.put(sandbox, {
    status: 3,
    exitedAt: { seconds: 100, nanos: 1 },
    madeUp: false,
    after: first.events.cursor,
  });
  await first.close();
  for (let starts = 0; starts < 2; starts += 1) {
    const next = await open(directory);
    next.recordUntold();
    expect(await next.recorded()).toEqual([
      ...told,
      expect.objectContaining({ topic: '/sandboxes/exit', sandboxId: 's', exitStatus: 3 }),
    ]);
    await next.close();
  }
});
