import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLogger } from '../../../src/shared/log/logger.ts';
import type { Exit } from '../../../src/shared/messages/index.ts';
import { ExitKeeper } from '../../../src/supervisor/exit-keeper.ts';
import { ExitRouter } from '../../../src/supervisor/exit-router.ts';
import { Registry } from '../../../src/supervisor/registry.ts';
import { Retries } from '../../../src/supervisor/retries.ts';
import { TaskEvents } from '../../../src/supervisor/task-events.ts';
import { addExec, addTask, execOf, MemoryExits, RecordedEvents, refOf } from './fixture.ts';

const exit = (pid: number, status = 0): Exit => ({ pid, status, exitedAt: { seconds: 100, nanos: 1 } });

let registry: Registry;
let exits: MemoryExits;
let keeper: ExitKeeper;
let sink: RecordedEvents;
let events: TaskEvents;
let router: ExitRouter;
let retries: Retries;

beforeEach(() => {
  vi.useFakeTimers();
  registry = new Registry();
  exits = new MemoryExits();
  sink = new RecordedEvents();
  retries = new Retries();
  keeper = new ExitKeeper(exits, retries, silentLogger);
  events = new TaskEvents(sink, silentLogger);
  router = new ExitRouter({ registry, exits: keeper, events, logger: silentLogger });
});
afterEach(() => {
  router.close();
  vi.useRealTimers();
});

describe('the exit router', () => {
  it('tells an exit once, stored before, and drops the repeats of other sources', async () => {
    const task = addTask(registry, 'a', { running: true });
    const { promise } = task.init.waiters.add();
    router.exit(refOf('a'), exit(10, 7), 'event');
    router.exit(refOf('a'), exit(10, 7), 'wait');
    router.exit(refOf('a'), exit(10, 137), 'made-up');
    expect(await promise).toMatchObject({ status: 7, source: 'event' });
    expect(sink.seen).toEqual(['exit a 7']);
    expect(exits.get(refOf('a'))).toMatchObject({ status: 7 });
  });

  it('holds an exit that overtook the reply to Start until that is handled', () => {
    const task = addTask(registry, 'a');
    task.init.set({ kind: 'starting', pid: 10 });
    router.exit(refOf('a'), exit(10, 3), 'wait');
    vi.advanceTimersByTime(60_000);
    expect(sink.seen).toEqual([]);
    task.init.set({ kind: 'running', pid: 10 });
    events.started(task.init, 10);
    router.settled(task, task.init);
    expect(sink.seen).toEqual(['start a', 'exit a 3']);
  });

  it('takes a shim’s event from before the adoption rather than a made-up exit, where it is of the same process', () => {
    events.recovering = true;
    const task = addTask(registry, 'a', { running: true });
    task.init.set({ kind: 'unknown', pid: 0 });
    router.exit(refOf('a'), exit(9, 4), 'event');
    router.exit(refOf('a'), exit(10, 5), 'event');
    router.exit(execOf('a', 'x'), exit(11, 6), 'event');
    expect(sink.seen).toEqual([]);
    // Its shim is gone, says the adoption.
    const exec = addExec(task, 'x', 0);
    exec.set({ kind: 'unknown', pid: 0 });
    router.exit(exec.ref, exit(11, 137), 'made-up');
    router.exit(refOf('a'), exit(10, 137), 'made-up');
    expect(sink.seen).toEqual(['exit a/x 6', 'exit a 5']);
    expect(exits.get(refOf('a'))).toMatchObject({ status: 5, source: 'event' });
  });

  it('has an event from before the adoption end the process that it is of, and no other', () => {
    events.recovering = true;
    const ended = addTask(registry, 'a', { running: true });
    const other = addTask(registry, 'b', { pid: 20, running: true });
    for (const task of [ended, other]) task.init.set({ kind: 'unknown', pid: 0 });
    router.exit(refOf('a'), exit(10, 5), 'event');
    router.exit(refOf('b'), exit(19, 5), 'event');
    ended.init.set({ kind: 'running', pid: 10 });
    other.init.set({ kind: 'running', pid: 20 });
    for (const task of [ended, other]) router.created(task);
    expect(sink.seen).toEqual(['exit a 5']);
    expect(other.init.state).toMatchObject({ kind: 'running' });
  });

  it('holds an exit that overtook the reply to Create, and drops that of an earlier task of the id', () => {
    const reservation = registry.reserve(refOf('a'));
    router.exit(refOf('a'), exit(9, 1), 'event');
    router.exit(refOf('a'), exit(10, 2), 'wait');
    reservation.release();
    router.created(addTask(registry, 'a', { pid: 10 }));
    expect(sink.seen).toEqual(['exit a 2']);
  });

  it('drops exits of another pid, of unknown tasks and of execs that never ran', () => {
    const task = addTask(registry, 'a', { running: true });
    addExec(task, 'x', 0);
    router.exit(refOf('a'), exit(99, 1), 'event');
    router.exit(refOf('b'), exit(1, 1), 'event');
    router.exit(execOf('a', 'x'), exit(50, 1), 'event');
    expect(sink.seen).toEqual([]);
    expect(exits.kept.size).toBe(0);
  });

  it("tells an init's exit after its execs', where they end with it", () => {
    const task = addTask(registry, 'a', { running: true });
    addExec(task, 'x', 11);
    router.exit(refOf('a'), exit(10, 1), 'wait');
    expect(sink.seen).toEqual([]);
    task.execs.forEach((process) => {
      process.killed = true;
    });
    router.exit(execOf('a', 'x'), exit(11, 137), 'wait');
    expect(sink.seen).toEqual(['exit a/x 137', 'exit a 1']);
  });

  it('does not hold an init longer than a second for an exec whose exit does not come', () => {
    addExec(addTask(registry, 'a', { running: true }), 'x', 11);
    router.exit(refOf('a'), exit(10, 1), 'wait');
    vi.advanceTimersByTime(999);
    expect(sink.seen).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(sink.seen).toEqual(['exit a 1']);
  });

  it('does not hold an init whose execs outlive it', () => {
    addExec(addTask(registry, 'a', { running: true, ownsPidNamespace: false }), 'x', 11);
    router.exit(refOf('a'), exit(10, 1), 'wait');
    expect(sink.seen).toEqual(['exit a 1']);
  });

  it('tells an out-of-memory kill before the exit that it caused', () => {
    addTask(registry, 'a', { running: true });
    router.exit(refOf('a'), exit(10, 137), 'wait');
    expect(sink.seen).toEqual([]);
    router.oom(refOf('a'), { seconds: 100, nanos: 0 });
    expect(sink.seen).toEqual(['oom a', 'exit a 137']);
  });

  it('tells a kill from outside as soon as out of memory is ruled out, for the process that it was ruled out for', () => {
    addTask(registry, 'a', { running: true });
    router.exit(refOf('a'), exit(10, 137), 'wait');
    router.oomRuledOut(refOf('a'), 11);
    expect(sink.seen).toEqual([]);
    router.oomRuledOut(refOf('a'), 10);
    expect(sink.seen).toEqual(['exit a 137']);
  });

  it('drops an out-of-memory event from before the task was made: it is of an earlier one of its id', () => {
    addTask(registry, 'a', { running: true, madeAt: 100_000 });
    router.exit(refOf('a'), exit(10, 137), 'wait');
    router.oom(refOf('a'), { seconds: 99, nanos: 999_000_000 });
    expect(sink.seen).toEqual([]);
    router.oom(refOf('a'), { seconds: 100, nanos: 0 });
    expect(sink.seen).toEqual(['oom a', 'exit a 137']);
  });

  it('waits for no out-of-memory event where the daemon itself killed', () => {
    addTask(registry, 'a', { running: true }).init.killed = true;
    router.exit(refOf('a'), exit(10, 137), 'wait');
    expect(sink.seen).toEqual(['exit a 137']);
  });

  it('lets a seen exit correct a made-up one without telling it again', () => {
    const task = addTask(registry, 'a', { running: true });
    router.exit(refOf('a'), exit(10, 137), 'made-up');
    router.exit(refOf('a'), exit(10, 5), 'wait');
    expect(sink.seen).toEqual(['exit a 137']);
    expect(task.init.state).toMatchObject({ kind: 'stopped', exit: { status: 5 } });
    expect(exits.get(refOf('a'))).toMatchObject({ status: 5 });
  });

  it('tells an exit that cannot be stored, and stores it when it can be', () => {
    events = new TaskEvents(sink, silentLogger, (process, owed) => keeper.setOwed(process, owed));
    router = new ExitRouter({ registry, exits: keeper, events, logger: silentLogger });
    events.recovering = true;
    sink.listening = false;
    for (const id of ['a', 'deleted']) addTask(registry, id, { running: true });
    const full = vi.spyOn(exits, 'put').mockImplementation(() => {
      throw new Error('disk full');
    });
    router.exit(refOf('a'), exit(10, 137), 'made-up');
    router.exit(refOf('deleted'), exit(10, 6), 'wait');
    router.exit(refOf('a'), exit(10, 5), 'wait');
    sink.subscribe();
    expect(sink.seen).toEqual(['exit a 137', 'exit deleted 6']);
    registry.findTask(refOf('deleted'))?.init.set({ kind: 'deleted' });
    vi.advanceTimersByTime(10_000);
    full.mockRestore();
    expect([...exits.list()]).toEqual([]);
    vi.advanceTimersByTime(1000);
    // Without `after` and owed to nobody: its event is out.
    expect([...exits.list()]).toEqual([{ process: refOf('a'), exit: { ...exit(10, 5), source: 'wait' } }]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('stores at the latest with the end of the daemon what could not be stored', () => {
    addTask(registry, 'a', { running: true });
    vi.spyOn(exits, 'put').mockImplementationOnce(() => {
      throw new Error('disk full');
    });
    router.exit(refOf('a'), exit(10, 5), 'wait');
    router.close();
    retries.close();
    expect(exits.get(refOf('a'))).toMatchObject({ status: 5 });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('stores what the client of a namespace may have been away for as owed, until it was told', () => {
    events = new TaskEvents(sink, silentLogger, (process, owed) => keeper.setOwed(process, owed));
    router = new ExitRouter({ registry, exits: keeper, events, logger: silentLogger });
    sink.listening = false;
    events.recovering = true;
    addTask(registry, 'a', { running: true });
    router.exit(refOf('a'), exit(10, 5), 'state');
    events.recovered([refOf('a').namespace], 60_000);
    addTask(registry, 'b', { running: true });
    router.exit(refOf('b'), exit(10, 6), 'wait');
    expect(['a', 'b'].map((id) => exits.get(refOf(id))?.owed)).toEqual(['anybody', 'anybody']);
    sink.subscribe();
    expect(['a', 'b'].map((id) => exits.get(refOf(id))?.owed)).toEqual([undefined, undefined]);
    vi.advanceTimersByTime(60_001);
    addTask(registry, 'c', { running: true });
    router.exit(refOf('c'), exit(10, 7), 'wait');
    expect(exits.get(refOf('c'))?.owed).toBeUndefined();
  });

  it('keeps what happened before anybody listened for the first who does', () => {
    addTask(registry, 'a', { running: true });
    sink.listening = false;
    events.recovering = true;
    router.exit(refOf('a'), exit(10, 5), 'state');
    events.recovering = false;
    expect(sink.seen).toEqual([]);
    sink.subscribe();
    sink.subscribe();
    expect(sink.seen).toEqual(['exit a 5']);
  });
});
