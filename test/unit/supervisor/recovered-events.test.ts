import { beforeEach, describe, expect, it } from 'vitest';
import { type Envelope, Exchange, taskExitEvent } from '../../../src/events/index.ts';
import { unavailable } from '../../../src/shared/errors/index.ts';
import { timestampNow } from '../../../src/shared/wire/timestamp.ts';
import { RecoveredEvents } from '../../../src/supervisor/recovered-events.ts';

const docker = ['namespace==n,topic~=|^/tasks/|'];

function exitOf(task: string, status: number): Envelope {
  const event = taskExitEvent({ containerId: task, id: task, pid: 7, exitStatus: status, exitedAt: timestampNow() });
  return { timestamp: timestampNow(), namespace: 'n', ...event };
}

describe('an exit that happened while the daemon was down', () => {
  let exchange: Exchange;
  let recovered: RecoveredEvents;
  let time: number;
  let told: string[];
  const first = exitOf('a', 5);
  const second = exitOf('b', 6);

  beforeEach(() => {
    exchange = new Exchange();
    time = 0;
    told = [];
    recovered = new RecoveredEvents(exchange, { patience: 60_000, now: () => time });
    recovered.add({ owner: 'a', envelope: first, onTold: () => told.push('a') });
    recovered.add({ owner: 'b', envelope: second, onTold: () => told.push('b') });
  });

  /** What a subscription of these filters has been handed when the exchange closes. */
  const subscribe = (filters: readonly string[]): (() => Promise<Envelope[]>) => {
    const events = exchange.subscribe({ filters });
    return async () => {
      exchange.close(unavailable('over'));
      const had: Envelope[] = [];
      try {
        for await (const envelope of events) had.push(envelope);
      } catch {
        // The end of the exchange.
      }
      return had;
    };
  };

  it('is kept until its client is there, and told to it once', async () => {
    time = 3_600_000;
    const client = subscribe(docker);
    const again = subscribe(docker);
    expect(recovered.size).toBe(0);
    expect(told).toEqual(['a', 'b']);
    expect(await client()).toEqual([first, second]);
    expect(await again()).toEqual([]);
  });

  it('is not kept where its client is there already', async () => {
    const client = subscribe(docker);
    const third = exitOf('c', 7);
    recovered.add({ owner: 'c', envelope: third });
    expect(recovered.size).toBe(0);
    expect(await client()).toEqual([first, second, third]);
  });

  it('is told to the first who watches every namespace as well, and kept for its client', async () => {
    const watcher = subscribe([]);
    const other = subscribe([]);
    const plugins = subscribe(['namespace==plugins']);
    expect(told).toEqual([]);
    const client = subscribe(docker);
    expect(await watcher()).toEqual([first, second]);
    expect(await other()).toEqual([]);
    expect(await plugins()).toEqual([]);
    expect(await client()).toEqual([first, second]);
  });

  it('is not kept for ever once somebody has had it', async () => {
    const watcher = subscribe([]);
    time = 60_001;
    const late = subscribe(docker);
    expect(recovered.size).toBe(0);
    expect(told).toEqual(['a', 'b']);
    expect(await watcher()).toEqual([first, second]);
    expect(await late()).toEqual([]);
  });

  it('that was published while its client was away is told to it when it is back, and to nobody twice', async () => {
    const watcher = subscribe([]);
    const third = exitOf('c', 7);
    exchange.publish(third);
    recovered.published({ owner: 'c', envelope: third, onTold: () => told.push('c') });
    const client = subscribe(docker);
    expect(told).toEqual(['a', 'b', 'c']);
    expect(await watcher()).toEqual([first, second, third]);
    expect(await client()).toEqual([first, second, third]);
  });

  it('that somebody else had from an earlier daemon is told to its client alone', async () => {
    const third = exitOf('c', 7);
    recovered.again({ owner: 'c', envelope: third }, true);
    const watcher = subscribe([]);
    const client = subscribe(docker);
    expect(await watcher()).toEqual([first, second]);
    expect(await client()).toEqual([first, second, third]);
  });

  it('that was published with its client there is not kept', async () => {
    const client = subscribe(docker);
    const third = exitOf('c', 7);
    exchange.publish(third);
    recovered.published({ owner: 'c', envelope: third, onTold: () => told.push('c') });
    expect(told).toEqual(['a', 'b', 'c']);
    expect(recovered.size).toBe(0);
    expect(await client()).toEqual([first, second, third]);
  });

  it('is dropped with its task, and stays owed when the daemon stops', async () => {
    recovered.drop('a');
    expect(told).toEqual([]);
    const client = subscribe(docker);
    expect(await client()).toEqual([second]);
  });
});
