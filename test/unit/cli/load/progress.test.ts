import { expect, test } from 'vitest';
import { Progress } from '../../../../src/cli/load/progress.ts';

function streamOf(isTTY: boolean, columns?: number) {
  const stream = {
    isTTY,
    ...(columns === undefined ? {} : { columns }),
    text: '',
    write(text: string) {
      stream.text += text;
    },
  };
  return stream;
}

test('progress is plain lines where nobody watches, few of them, the last one always', () => {
  const stream = streamOf(false);
  const progress = new Progress(stream, {});
  for (let done = 0; done <= 1000; done += 1) progress.show({ label: 'tasks', done, total: 1000 });
  progress.clear();
  expect(stream.text).toMatch(/^tasks: 1000\/1000 {2}\d+\/s\n$/);
});

test('progress is one line of a terminal, drawn again, and taken away in the end', () => {
  const stream = streamOf(true, 60);
  const progress = new Progress(stream, { NO_COLOR: '1', TERM: 'xterm' });
  progress.show({ label: 'tasks', done: 5, total: 10 });
  expect(stream.text.startsWith('\r\u001B[2Ktasks [===')).toBe(true);
  expect(stream.text).toMatch(/tasks \[=+ +\] 5\/10 {2}\d+\/s$/);
  expect(stream.text).not.toContain('\u001B[3');
  expect(stream.text).not.toContain('\n');
  progress.clear();
  progress.clear();
  expect(stream.text.endsWith('\r\u001B[2K')).toBe(true);
});

test('progress paints where colours are wanted, and fits where a terminal tells no width', () => {
  const stream = streamOf(true, 0);
  new Progress(stream, { TERM: 'xterm' }).show({ label: 'tasks', done: 10, total: 10 });
  expect(stream.text).toContain('\u001B[32m==============================');
});

test('progress draws no bar on a dumb terminal', () => {
  const stream = streamOf(true, 80);
  new Progress(stream, { TERM: 'dumb' }).show({ label: 'tasks', done: 10, total: 10 });
  expect(stream.text).toMatch(/^tasks: 10\/10 .*\n$/);
});
