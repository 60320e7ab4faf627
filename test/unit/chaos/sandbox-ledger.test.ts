import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeEach, describe, expect, test } from 'vitest';

interface Exit {
  readonly sandbox: string;
  readonly status: number;
}

interface SandboxLedger {
  asked(sandbox: string): void;
  started(sandbox: string, pid: number): void;
  willEnd(sandbox: string, statuses: readonly number[], how?: { readonly gentle?: boolean }): void;
  shimKilled(sandbox: string): void;
  mayBeOver(sandbox: string): boolean;
  reported(sandbox: string, status: number): void;
  event(exit: Exit): void;
  logged(exit: Exit): void;
}

interface Ledger {
  readonly violations: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  readonly sandboxes: SandboxLedger;
  started(process: Readonly<Record<string, unknown>>): string;
  reported(key: string, status: number, how: string): void;
  event(process: Readonly<Record<string, unknown>>): void;
  logged(process: Readonly<Record<string, unknown>>): void;
  listening(): void;
  deaf(): void;
  check(): void;
}

const file = path.resolve(import.meta.dirname, '../../chaos/lib/ledger.mjs');
const { Ledger } = (await import(pathToFileURL(file).href)) as { Ledger: new (now: () => number) => Ledger };

/** No process has this one: pids end at 4,194,304. */
const pid = 5_000_000;

describe('the ledger of the sandboxes of a chaos run', () => {
  let now: number;
  let ledger: Ledger;
  let sandboxes: SandboxLedger;

  beforeEach(() => {
    now = 1000;
    begin();
  });

  function begin(): void {
    ledger = new Ledger(() => now);
    ({ sandboxes } = ledger);
    sandboxes.asked('pod');
  }

  /** The sandbox ran, was to end with 7, and its exit was told by Wait, in the log, and by an event unless that is said. */
  function lived({ told = 7, event = true }: { told?: number; event?: boolean } = {}): void {
    sandboxes.started('pod', 0);
    sandboxes.willEnd('pod', [7]);
    sandboxes.logged({ sandbox: 'pod', status: told });
    sandboxes.reported('pod', told);
    if (event) sandboxes.event({ sandbox: 'pod', status: told });
  }

  /** A task in the sandbox, that was to end with 3 and did with `status`. */
  function member(status: number): void {
    const task = { task: 'a', exec: '', pid };
    const key = ledger.started({ ...task, status: 3, since: now, sandbox: 'pod', onTerm: 9 });
    ledger.event({ ...task, status });
    ledger.logged({ ...task, status });
    ledger.reported(key, status, 'Wait');
  }

  function verdict(): readonly string[] {
    ledger.check();
    return ledger.violations;
  }

  test('has nothing to say of one that ended as it was to, after its tasks, and was told once by every way', () => {
    ledger.listening();
    member(3);
    lived();
    now += 10_000;
    expect(verdict()).toEqual([]);
    expect(ledger.counts).toMatchObject({
      sandboxes: 1,
      sandboxExitEvents: 1,
      sandboxExitsLogged: 1,
      sandboxesEndedWithTheirShim: 0,
      endedWithTheirSandbox: 0,
    });
  });

  test('sees a wrong status, and an end that nobody asked for', () => {
    lived({ told: 8 });
    expect(verdict()).toContainEqual(expect.stringContaining('wrong: Wait says 8, it ends with 7'));
    begin();
    sandboxes.started('pod', 0);
    sandboxes.logged({ sandbox: 'pod', status: 0 });
    expect(verdict()).toEqual([expect.stringContaining('wrong: the event says 0, it ends with nothing')]);
  });

  test('takes 137 where its shim was killed, and 0 only where its end was asked for too', () => {
    for (const [status, ending, violations] of [
      [137, false, 0],
      [137, true, 0],
      [0, false, 1],
      [0, true, 0],
    ] as const) {
      begin();
      sandboxes.started('pod', 0);
      sandboxes.shimKilled('pod');
      if (ending) sandboxes.willEnd('pod', [7]);
      sandboxes.logged({ sandbox: 'pod', status });
      expect(verdict()).toHaveLength(violations);
    }
    begin();
    // One that stands alone.
    sandboxes.shimKilled('other');
    expect(verdict()).toEqual([]);
  });

  test('sees an exit that is told twice, or changes, or is another one in its event', () => {
    lived();
    sandboxes.event({ sandbox: 'pod', status: 7 });
    expect(verdict()).toEqual([expect.stringContaining('repeated: exit events with 7, 7')]);
    begin();
    lived();
    sandboxes.logged({ sandbox: 'pod', status: 7 });
    expect(verdict()).toEqual([expect.stringContaining('repeated: exits in the log with 7, 7')]);
    begin();
    lived();
    sandboxes.willEnd('pod', [7, 8]);
    sandboxes.reported('pod', 8);
    expect(verdict()).toEqual([expect.stringContaining('changed: Wait says 8 after 7')]);
    begin();
    sandboxes.willEnd('pod', [7, 8]);
    sandboxes.logged({ sandbox: 'pod', status: 8 });
    sandboxes.reported('pod', 7);
    expect(verdict()).toEqual([expect.stringContaining('the event said 8, Wait said 7')]);
  });

  test('sees an exit that is not in the log, and an event that is missing where somebody listened', () => {
    sandboxes.started('pod', 0);
    expect(verdict()).toEqual([expect.stringContaining('lost: its exit is not in the log')]);
    begin();
    ledger.listening();
    now += 1;
    sandboxes.asked('pod');
    lived({ event: false });
    now += 10_000;
    expect(verdict()).toEqual([expect.stringContaining('lost: no exit event came')]);
    begin();
    ledger.listening();
    sandboxes.asked('pod');
    lived({ event: false });
    ledger.deaf();
    expect(verdict()).toEqual([]);
  });

  test('lets one that nobody saw started have an exit, or none', () => {
    expect(verdict()).toEqual([]);
    sandboxes.shimKilled('pod');
    sandboxes.logged({ sandbox: 'pod', status: 137 });
    expect(verdict()).toEqual([]);
  });

  test('sees an exit of a sandbox that nobody asked for', () => {
    sandboxes.logged({ sandbox: 'stranger', status: 0 });
    expect(verdict()).toEqual([expect.stringContaining('sandbox stranger: an exit of one that nobody asked for')]);
  });

  test('sees a process that lives although the end of its sandbox was told', async () => {
    const child = spawn('sleep', ['3600'], { stdio: 'ignore' });
    try {
      sandboxes.started('pod', child.pid ?? 0);
      sandboxes.willEnd('pod', [7]);
      sandboxes.logged({ sandbox: 'pod', status: 7 });
      sandboxes.reported('pod', 7);
      expect(ledger.violations).toEqual([expect.stringContaining(`and process ${child.pid} lives`)]);
      expect(verdict()).toContainEqual(expect.stringContaining(`process ${child.pid} lives on`));
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });

  describe('and a task in one', () => {
    test('may be killed with it once its end was asked for, and not before', () => {
      member(137);
      expect(verdict()).toEqual([expect.stringContaining('wrong: Wait says 137, it ended with 3')]);
      begin();
      expect(sandboxes.mayBeOver('pod')).toBe(false);
      sandboxes.willEnd('pod', [7]);
      expect(sandboxes.mayBeOver('pod')).toBe(true);
      member(137);
      expect(verdict()).toEqual([]);
      expect(ledger.counts).toMatchObject({ endedWithTheirSandbox: 1, endedWithTheirShim: 0 });
    });

    test.each([9, 143, 2])('may end with %i where its sandbox is ended gently, and only there', (status) => {
      sandboxes.willEnd('pod', [7]);
      member(status);
      expect(verdict()).toEqual([expect.stringContaining(`wrong: Wait says ${status}`)]);
      begin();
      sandboxes.willEnd('pod', [7], { gentle: true });
      member(status);
      expect(verdict()).toEqual([]);
    });

    test('has to have ended before it', () => {
      lived();
      member(3);
      expect(verdict()).toEqual([expect.stringContaining(`a//${pid}: its exit came after that of sandbox pod`)]);
    });
  });
});
