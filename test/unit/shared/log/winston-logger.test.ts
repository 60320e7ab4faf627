import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { TaskError } from '../../../../src/shared/errors/index.ts';
import { writeLogReport } from '../../../../src/shared/log/log-report.ts';
import { createWinstonLogger, type LogOutput } from '../../../../src/shared/log/winston-logger.ts';

function capture(options: Partial<LogOutput> & { tty?: boolean } = {}) {
  const stream = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY: options.tty ?? false });
  const logger = createWinstonLogger({ level: 'info', format: 'auto', ...options, stream });
  return { stream, logger, text: () => String(stream.read() ?? '') };
}

describe('the logger', () => {
  test('writes one JSON object a line, with the ids of its children', () => {
    const { logger, text } = capture();
    logger.child({ namespace: 'default' }).info('task created', { task: 'x', note: 'two\nlines' });
    const lines = text().split('\n');
    expect(lines).toHaveLength(2);
    const { time, ...line } = JSON.parse(lines[0] ?? '');
    expect(new Date(time).toISOString()).toBe(time);
    expect(line).toEqual({
      level: 'info',
      message: 'task created',
      namespace: 'default',
      task: 'x',
      note: 'two\nlines',
    });
  });

  test('leaves out lines below its level', () => {
    const { logger, text } = capture({ level: 'warn' });
    logger.info('task created');
    logger.debug('frame read');
    expect(text()).toBe('');
    logger.warn('shim lost');
    expect(text()).toContain('shim lost');
  });

  test('keeps what an error says, and fields that are named like its own', () => {
    const { logger, text } = capture();
    const error = new TaskError('UNAVAILABLE', 'no answer', { cause: new Error('refused') });
    logger.error('shim lost', { error, message: 'a field', big: 3n });
    expect(JSON.parse(text())).toMatchObject({
      message: 'shim lost',
      message_: 'a field',
      error: { code: 'UNAVAILABLE', message: 'no answer', cause: 'refused' },
    });
  });

  test('survives a field that refers to itself', () => {
    const { logger, text } = capture();
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    logger.info('odd', { circle });
    expect(JSON.parse(text())).toMatchObject({ message: 'odd' });
  });

  test('survives a reader that goes away', () => {
    const { logger, stream } = capture();
    stream.destroy(new Error('EPIPE'));
    expect(() => logger.info('task created')).not.toThrow();
  });

  test('is readable and coloured on a terminal', () => {
    const { logger, text } = capture({ tty: true, color: true });
    logger.warn('task lost', { task: 'x', reason: 'connection closed', slot: 1 });
    expect(text()).toContain(`\u001b[33mWARN \u001b[0m task lost task=x reason="connection closed" slot=1\n`);
  });

  test('uses no colour where NO_COLOR is set', () => {
    const before = process.env['NO_COLOR'];
    process.env['NO_COLOR'] = '1';
    try {
      const { logger, text } = capture({ tty: true });
      logger.warn('task lost', { error: new Error('it broke') });
      expect(text()).toMatch(/^\S+Z WARN {2}task lost error="it broke"\n$/);
    } finally {
      if (before === undefined) delete process.env['NO_COLOR'];
      else process.env['NO_COLOR'] = before;
    }
  });

  test("writes a slot's line as its own", () => {
    const { logger, text } = capture();
    writeLogReport(logger.child({ slot: 1 }), {
      kind: 'log',
      level: 'warn',
      message: 'shim lost',
      fields: { shim: 's' },
    });
    writeLogReport(logger, { kind: 'log', level: 'loud', message: 'odd', fields: {} });
    const [first, second] = text()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(first).toMatchObject({ level: 'warn', message: 'shim lost', slot: 1, shim: 's' });
    expect(second).toMatchObject({ level: 'info', message: 'odd' });
  });
});
