import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeEach, describe, expect, test } from 'vitest';

interface Process {
  readonly task: string;
  readonly exec: string;
  readonly pid: number;
  readonly status: number;
}

interface Ledger {
  readonly violations: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  started(process: Process & { readonly since: number }): string;
  willEnd(key: string, status: number): void;
  shimKilled(tasks: readonly string[]): void;
  reported(key: string, status: number, how: string): void;
  answeredToNobody(key: string): void;
  event(process: Process): void;
  logged(process: Process): void;
  listening(): void;
  deaf(): void;
  check(): void;
}

const file = path.resolve(import.meta.dirname, '../../chaos/lib/ledger.mjs');
const { Ledger } = (await import(pathToFileURL(file).href)) as { Ledger: new (now: () => number) => Ledger };

/** No process has this one: pids end at 4,194,304. */
const pid = 5_000_000;
const init: Process = { task: 'a', exec: '', pid, status: 3 };

describe('the ledger of a chaos run', () => {
  let now: number;
  let ledger: Ledger;

  beforeEach(() => {
    now = 1000;
    ledger = new Ledger(() => now);
  });

  /** The process ran and its exit was told by Wait, in the log, and by an event unless that is said. */
  function lived({ told = 3, event = true }: { told?: number; event?: boolean } = {}): string {
    const key = ledger.started({ ...init, since: now });
    ledger.logged({ ...init, status: told });
    ledger.reported(key, told, 'Wait');
    if (event) ledger.event({ ...init, status: told });
    return key;
  }

  function verdict(): readonly string[] {
    ledger.check();
    return ledger.violations;
  }

  test('has nothing to say of an exit that was told once, rightly, by every way', () => {
    ledger.listening();
    const key = lived();
    ledger.reported(key, 3, 'Get');
    ledger.reported(key, 3, 'Delete');
    now += 10_000;
    expect(verdict()).toEqual([]);
    expect(ledger.counts).toMatchObject({ inits: 1, execs: 0, exitEvents: 1, exitEventsOwed: 1, exitEventsMissed: 0 });
  });

  test('sees an exit that nobody was told of', () => {
    ledger.started({ ...init, since: now });
    expect(verdict()).toEqual([expect.stringContaining('lost: nobody was told')]);
  });

  test('sees a wrong status, and a made-up one where no shim was killed', () => {
    lived({ told: 4 });
    expect(verdict()).toEqual([expect.stringContaining('wrong: Wait says 4, it ended with 3')]);
    ledger = new Ledger(() => now);
    lived({ told: 137 });
    expect(verdict()).toEqual([expect.stringContaining('wrong: Wait says 137')]);
  });

  test('takes a made-up status only for tasks of a shim that was killed, since they were asked for', () => {
    ledger.shimKilled(['a']);
    now += 1;
    lived({ told: 137 });
    expect(verdict()).toHaveLength(1);
    ledger = new Ledger(() => now);
    const key = ledger.started({ ...init, since: now });
    ledger.shimKilled(['b']);
    ledger.shimKilled(['a']);
    ledger.logged({ ...init, status: 137 });
    ledger.reported(key, 137, 'Wait');
    expect(verdict()).toEqual([]);
    expect(ledger.counts).toMatchObject({ endedWithTheirShim: 1 });
  });

  test('sees a status that changes, a made-up one over a known one too', () => {
    const key = lived();
    ledger.shimKilled(['a']);
    ledger.reported(key, 137, 'Delete');
    expect(verdict()).toEqual([expect.stringContaining('changed: Delete says 137 after 3')]);
  });

  test('sees an event that comes twice', () => {
    lived();
    ledger.event(init);
    expect(verdict()).toEqual([expect.stringContaining('repeated: exit events with 3, 3')]);
  });

  test('sees an exit that is twice in the log, and one that is not there', () => {
    lived();
    ledger.logged(init);
    expect(verdict()).toEqual([expect.stringContaining('repeated: exits in the log with 3, 3')]);
    ledger = new Ledger(() => now);
    ledger.reported(ledger.started({ ...init, since: now }), 3, 'Wait');
    expect(verdict()).toEqual([expect.stringContaining('lost: its exit is not in the log')]);
  });

  test('sees an event that says something else than the calls', () => {
    const key = ledger.started({ ...init, since: now });
    ledger.logged({ ...init, status: 4 });
    ledger.reported(key, 3, 'Wait');
    expect(verdict()).toEqual([expect.stringContaining('the event said 4, calls said 3')]);
  });

  test('sees a missing event where somebody listened all the time, and only there', () => {
    ledger.listening();
    now += 1;
    lived({ event: false });
    now += 10_000;
    expect(verdict()).toEqual([expect.stringContaining('lost: no exit event')]);

    ledger = new Ledger(() => now);
    ledger.listening();
    now += 1;
    lived({ event: false });
    // It may still have been on its way.
    now += 100;
    ledger.deaf();
    now += 10_000;
    ledger.listening();
    expect(verdict()).toEqual([]);
    expect(ledger.counts).toMatchObject({ exitEventsOwed: 0, exitEventsMissed: 1 });
  });

  test('counts events of processes that no caller was told of, and tells incarnations by their pid', () => {
    ledger.event({ ...init, pid: pid + 1, status: 137 });
    lived();
    expect(verdict()).toEqual([]);
    expect(ledger.counts).toMatchObject({ exitEvents: 2, exitEventsOfOthers: 1 });
  });

  test('sees a process that lives although its exit was told, and one that lives at the end', async () => {
    const child = spawn('sleep', ['3600'], { stdio: 'ignore' });
    try {
      const alive = { ...init, pid: child.pid ?? 0 };
      const key = ledger.started({ ...alive, since: now });
      ledger.reported(key, 3, 'Wait');
      expect(ledger.violations).toEqual([expect.stringContaining(`and process ${child.pid} lives`)]);
      expect(verdict()).toContainEqual(expect.stringContaining(`process ${child.pid} lives on`));
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });

  test('takes the log’s word where the answer that told of an exit went to nobody', () => {
    const key = ledger.started({ ...init, since: now });
    ledger.answeredToNobody(key);
    ledger.logged({ ...init, status: 4 });
    expect(verdict()).toEqual([expect.stringContaining('wrong: the log of events says 4')]);
    ledger = new Ledger(() => now);
    ledger.answeredToNobody(ledger.started({ ...init, since: now }));
    ledger.logged(init);
    expect(verdict()).toEqual([]);
  });

  test('lets the way a process ends be decided later', () => {
    const key = ledger.started({ ...init, since: now });
    ledger.willEnd(key, 9);
    ledger.logged({ ...init, status: 9 });
    ledger.reported(key, 9, 'Wait');
    expect(verdict()).toEqual([]);
  });
});
