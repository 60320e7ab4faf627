import { expect, test } from 'vitest';
import {
  codeOfNumber,
  decodeError,
  encodeError,
  numberOfCode,
  TaskError,
} from '../../../../src/shared/errors/index.ts';

test('a system error takes the code of its errno', () => {
  const error = Object.assign(new Error('connect ECONNREFUSED /run/x'), { code: 'ECONNREFUSED' });
  expect(TaskError.from(error, 'dialing')).toMatchObject({
    code: 'UNAVAILABLE',
    message: 'dialing: connect ECONNREFUSED /run/x',
    cause: error,
  });
});

test('an error keeps its code and message across a structured clone', () => {
  const sent = structuredClone(encodeError(new TaskError('NOT_FOUND', 'task x not found')));
  expect(decodeError(sent)).toMatchObject({ name: 'TaskError', code: 'NOT_FOUND', message: 'task x not found' });
});

test('codes have the numbers of gRPC, and an unassigned number is UNKNOWN', () => {
  expect([numberOfCode('CANCELLED'), numberOfCode('NOT_FOUND'), numberOfCode('UNAUTHENTICATED')]).toEqual([1, 5, 16]);
  expect([codeOfNumber(14), codeOfNumber(99)]).toEqual(['UNAVAILABLE', 'UNKNOWN']);
});
