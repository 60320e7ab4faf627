import { describe, expect, test } from 'vitest';
import { oneLine } from '../../../src/cli/failure.ts';
import { notFound, TaskError } from '../../../src/shared/errors/index.ts';

describe('the line that a failure becomes', () => {
  test('has no line breaks and no control characters', () => {
    expect(oneLine(new Error('first\n  second\u001B[31m'))).toBe('first second\\u001b[31m');
  });

  test('says where to look for an id that does not exist', () => {
    expect(oneLine(notFound('task x not found'))).toBe("task x not found; 'shimd ps -a' lists what there is");
  });

  test('says what to do about an id that is taken', () => {
    expect(oneLine(new TaskError('ALREADY_EXISTS', 'container "x": already exists'))).toContain("'shimd rm'");
  });
});
