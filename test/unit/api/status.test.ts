import { describe, expect, test } from 'vitest';
import { statusOf } from '../../../src/api/status.ts';
import { TaskError } from '../../../src/shared/errors/index.ts';

const detailsOf = (message: string): string => statusOf(new TaskError('NOT_FOUND', message)).details;
/** Bytes as `grpc-message`: what is not printable ASCII, and the percent sign, takes three. */
const encodedLength = (text: string): number =>
  Array.from(Buffer.from(text), (byte) => (byte < 0x20 || byte > 0x7e || byte === 0x25 ? 3 : 1)).reduce(
    (sum: number, length) => sum + length,
    0,
  );

describe('the message of a failed call', () => {
  test('is left as it is where it can be printed, with its line breaks', () => {
    const message = 'runc: exit status 1:\n\tcannot do 100 % of “that”: not found';
    expect(detailsOf(message)).toBe(message);
  });

  test.each([
    ['a\0b: not found', 'a\\u0000b: not found'],
    ['\u001b[31mred\r: not found', '\\u001b[31mred\\u000d: not found'],
    ['\u202etxt\u2028: not found', '\\u202etxt\\u2028: not found'],
    ['half \ud83d a pair', 'half \ufffd a pair'],
  ])('shows what would steer a terminal: %j', (message, shown) => {
    expect(detailsOf(message)).toBe(shown);
  });

  test.each(['x', 'ü', '漢', '😀', '\0', '%'])('fits into a header with its end, when %j fills it', (character) => {
    const details = detailsOf(`task "${character.repeat(100_000)}": not found`);
    expect(encodedLength(details)).toBeLessThanOrEqual(4096);
    expect(details).toMatch(/^task "[^]* \[\.\.\.\] [^]*": not found$/);
  });
});
