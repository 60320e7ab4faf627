import { describe, expect, test } from 'vitest';
import { Ledger } from '../../../../src/cli/load/ledger.ts';

const none = { lost: 0, repeated: 0, wrong: 0, failed: 0 };

function startedLedger(expected = 3): Ledger {
  const ledger = new Ledger();
  ledger.expect('a', expected);
  ledger.started('a');
  return ledger;
}

describe('the ledger of a load', () => {
  test('counts nothing where all ways tell what was asked, once', () => {
    const ledger = startedLedger();
    ledger.event('a', 3);
    ledger.waited('a', 3);
    ledger.deleted('a', 3);
    expect(ledger.counts()).toEqual({ tasks: 1, ...none });
    expect(ledger.examples()).toEqual([]);
    expect([...ledger.byStatus()]).toEqual([[3, { asked: 1, asAsked: 1 }]]);
  });

  test('takes an exit for lost that only Wait or only the event told', () => {
    const waited = startedLedger();
    waited.waited('a', 3);
    const event = startedLedger();
    event.event('a', 3);
    for (const ledger of [waited, event]) {
      expect(ledger.counts()).toEqual({ tasks: 1, ...none, lost: 1 });
      expect(ledger.examples()[0]).toContain('lost: asked for 3');
      expect([...ledger.byStatus()]).toEqual([[3, { asked: 1, asAsked: 0 }]]);
    }
  });

  test('counts an exit that was told twice, also when the second comes late', () => {
    const ledger = startedLedger();
    ledger.event('a', 3);
    ledger.waited('a', 3);
    ledger.deleted('a', 3);
    ledger.event('a', 3);
    expect(ledger.counts()).toEqual({ tasks: 1, ...none, repeated: 1 });
  });

  test.each(['waited', 'event', 'deleted'] as const)('sees a wrong status by %s alone', (way) => {
    const ledger = startedLedger();
    for (const one of ['waited', 'event', 'deleted'] as const) ledger[one]('a', one === way ? 137 : 3);
    expect(ledger.counts()).toEqual({ tasks: 1, ...none, wrong: 1 });
    expect(ledger.examples()[0]).toContain('wrong: asked for 3');
  });

  test('keeps a wrong status of an event in mind when the right one follows', () => {
    const ledger = startedLedger();
    ledger.waited('a', 3);
    ledger.event('a', 137);
    ledger.event('a', 3);
    expect(ledger.counts()).toEqual({ tasks: 1, ...none, repeated: 1, wrong: 1 });
  });

  test('does not call wrong what comes of removing a failed or a lost task by force', () => {
    const ledger = startedLedger();
    ledger.failed('a', new Error('no room'));
    ledger.event('a', 137);
    ledger.expect('b', 0);
    ledger.started('b');
    ledger.lost('b');
    ledger.event('b', 137);
    expect(ledger.counts()).toEqual({ tasks: 2, ...none, lost: 1, failed: 1 });
    expect(ledger.examples()[0]).toBe('a: no room');
  });

  test('tells what is alike once', () => {
    const ledger = new Ledger();
    for (const id of ['a1', 'a2', 'a3']) {
      ledger.expect(id, 0);
      ledger.failed(id, new Error(`container ${id}: no room`));
    }
    expect(ledger.examples()).toEqual(['a1 and 2 more: container ID: no room']);
  });

  test('ignores tasks of others and forgets those that were given up', () => {
    const ledger = startedLedger();
    ledger.forget('a');
    ledger.event('a', 1);
    ledger.event('theirs', 1);
    expect(ledger.counts()).toEqual({ tasks: 0, ...none });
  });

  test('counts rounds apart', () => {
    const ledger = new Ledger();
    ledger.expect('a', 0, 1);
    ledger.expect('b', 0, 2);
    ledger.started('b');
    expect(ledger.counts(1).lost).toBe(0);
    expect(ledger.counts(2).lost).toBe(1);
  });
});
