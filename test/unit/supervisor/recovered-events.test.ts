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
  const first = exitOf('a', 5);
  const second = exitOf('b', 6);

  beforeEach(() => {
    exchange = new Exchange();
    time = 0;
    recovered = new RecoveredEvents(exchange, { patience: 60_000, now: () => time });
    recovered.add('a', first);
    recovered.add('b', second);
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
    expect(await client()).toEqual([first, second]);
    expect(await again()).toEqual([]);
  });

  it('is not kept where its client is there already', async () => {
    const client = subscribe(docker);
    const third = exitOf('c', 7);
    recovered.add('c', third);
    expect(recovered.size).toBe(0);
    expect(await client()).toEqual([first, second, third]);
  });

  it('is told to who watches every namespace as well, and kept for its client', async () => {
    const watcher = subscribe([]);
    const plugins = subscribe(['namespace==plugins']);
    const client = subscribe(docker);
    expect(await watcher()).toEqual([first, second]);
    expect(await plugins()).toEqual([]);
    expect(await client()).toEqual([first, second]);
  });

  it('is not kept for ever once somebody has had it', async () => {
    const watcher = subscribe([]);
    time = 60_001;
    const late = subscribe(docker);
    expect(recovered.size).toBe(0);
    expect(await watcher()).toEqual([first, second]);
    expect(await late()).toEqual([]);
  });

  it('is dropped with its task', async () => {
    recovered.drop('a');
    const client = subscribe(docker);
    expect(await client()).toEqual([second]);
  });
});
