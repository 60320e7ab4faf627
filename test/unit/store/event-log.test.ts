import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { silentLogger } from '../../../src/shared/log/logger.ts';
import { EventLog, type EventLogOptions } from '../../../src/store/event-log.ts';
import { temporaryDirectory } from './fixture.ts';

function open(directory: string, options: Partial<EventLogOptions> = {}): EventLog {
  const log = EventLog.open(directory, { logger: silentLogger, trusted: true, ...options });
  onTestFinished(() => log.close());
  return log;
}

function readAll(log: EventLog): { cursor: number; text: string }[] {
  const found: { cursor: number; text: string }[] = [];
  for (let from: Parameters<EventLog['read']>[0] = { cursor: log.before }; ; ) {
    const { entries, next } = log.read(from);
    if (entries.length === 0) return found;
    found.push(...entries.map(({ cursor, value }) => ({ cursor, text: Buffer.from(value).toString() })));
    from = next;
  }
}

const textsOf = (log: EventLog) => readAll(log).map(({ text }) => text);
const filesOf = (directory: string) => readdirSync(directory).map((name) => path.join(directory, name));

describe('the log of events', () => {
  test('has all that was added, over restarts, with cursors that go up by one', async () => {
    const directory = await temporaryDirectory();
    const limits = { segmentEvents: 10, segments: 100 };
    const texts: string[] = [];
    for (let life = 0; life < 4; life++) {
      const log = open(directory, { limits });
      for (let i = 0; i < 17; i++) {
        texts.push(`${life}/${i}`);
        log.append(Buffer.from(`${life}/${i}`));
      }
      // An end without `close` half of the time: that is a kill.
      if (life % 2 === 0) log.close();
    }
    const log = open(directory, { limits });
    const found = readAll(log);
    expect(found.map(({ text }) => text)).toEqual(texts);
    expect(found.map(({ cursor }, i) => cursor - i)).toEqual(texts.map(() => log.before + 1));
    expect(log.last).toBe(log.before + texts.length);
  });

  test('keeps no more events and bytes than it may, and drops the oldest', async () => {
    const directory = await temporaryDirectory();
    const log = open(directory, { limits: { segmentEvents: 10, segments: 3 } });
    for (let i = 0; i < 95; i++) log.append(Buffer.from(String(i)));
    expect(textsOf(log)[0]).toBe('70');
    expect(filesOf(directory)).toHaveLength(3);

    const bytes = await temporaryDirectory();
    const small = open(bytes, { limits: { segmentBytes: 1000, bytes: 5000, segments: 100 } });
    for (let i = 0; i < 100; i++) small.append(Buffer.alloc(300));
    expect(filesOf(bytes).reduce((sum, file) => sum + statSync(file).size, 0)).toBeLessThanOrEqual(5000);
    expect(small.size.events).toBeGreaterThanOrEqual(10);
  });

  test('takes an event that is longer than a file and a read', async () => {
    const log = open(await temporaryDirectory(), { limits: { segmentBytes: 1000 } });
    const long = 'x'.repeat(300_000);
    for (const text of ['a', long, 'b']) log.append(Buffer.from(text));
    expect(textsOf(log)).toEqual(['a', long, 'b']);
  });

  test.each([1, 7, 8, 9, 20])('cuts off a last event of which %d bytes are missing', async (missing) => {
    const directory = await temporaryDirectory();
    const log = open(directory);
    for (const text of ['one', 'two', 'three of some length']) log.append(Buffer.from(text));
    const [file = ''] = filesOf(directory);
    truncateSync(file, statSync(file).size - missing);
    const after = open(directory);
    expect(textsOf(after)).toEqual(['one', 'two']);
    after.append(Buffer.from('again'));
    expect(textsOf(open(directory))).toEqual(['one', 'two', 'again']);
  });

  test('begins anew above all earlier cursors after a power failure', async () => {
    const directory = await temporaryDirectory();
    const earlier = open(directory, { now: Date.now() + 60_000 });
    const cursor = earlier.append(Buffer.from('a'));
    const log = open(directory, { trusted: false });
    expect(readAll(log)).toEqual([]);
    expect(log.append(Buffer.from('b'))).toBeGreaterThan(cursor);
    expect(() => log.assertKept(cursor)).toThrow(expect.objectContaining({ code: 'OUT_OF_RANGE' }));
  });

  test.each([
    ['a file that is none of its own', (file: string) => writeFileSync(file, 'something else entirely')],
    ['an empty one', (file: string) => truncateSync(file, 0)],
  ])('begins anew where it finds %s in the place of one, and keeps it', async (_, damage) => {
    const directory = await temporaryDirectory();
    open(directory).append(Buffer.from('a'));
    for (const file of filesOf(directory)) damage(file);
    const log = open(directory);
    expect(readAll(log)).toEqual([]);
    log.append(Buffer.from('b'));
    expect(textsOf(log)).toEqual(['b']);
    expect(filesOf(directory).filter((file) => file.endsWith('.log.old'))).toHaveLength(1);
  });

  test('touches no file that has not its kind of name', async () => {
    const directory = await temporaryDirectory();
    const note = path.join(directory, 'note.txt');
    writeFileSync(note, 'mine');
    const log = open(directory, { trusted: false });
    log.append(Buffer.from('a'));
    expect(readFileSync(note, 'utf8')).toBe('mine');
  });

  test('says so where an event in the middle was damaged', async () => {
    const directory = await temporaryDirectory();
    const log = open(directory);
    for (const text of ['one', 'two']) log.append(Buffer.from(text));
    const [file = ''] = filesOf(directory);
    const bytes = readFileSync(file);
    bytes[bytes.indexOf('one')] = 0;
    writeFileSync(file, bytes);
    expect(() => readAll(log)).toThrow(expect.objectContaining({ code: 'DATA_LOSS' }));
  });

  test('has every event that its process had written when it was killed', async () => {
    const directory = await temporaryDirectory();
    const writer = path.join(import.meta.dirname, 'event-writer.mjs');
    let expected = 0;
    for (let round = 0; round < 5; round++) {
      const child = spawn(process.execPath, [writer, directory, String(expected)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let output = '';
      child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
      while (output.split('\n').length < 200 * (round + 1) + 1) await once(child.stdout, 'data');
      child.kill('SIGKILL');
      await once(child, 'close');
      const told = output.split('\n').slice(0, -1);
      const log = open(directory);
      const texts = textsOf(log);
      // What was told is there; more may have been written that could not be told any more.
      expect(texts.slice(expected, expected + told.length)).toEqual(told);
      expect(texts).toEqual(texts.map((__, i) => String(i)));
      expected = texts.length;
    }
  }, 60_000);
});
