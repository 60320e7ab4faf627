import { type ErrorCode, numberOfCode, TaskError } from '../shared/errors/index.ts';

/** How a call ends on the wire where it fails. */
export interface FailureStatus {
  readonly code: number;
  readonly details: string;
}

/** Bytes of a message on the wire: it travels, percent-encoded, in headers that some clients take only 8 KiB of. */
const maxDetails = 4096;
/** Bytes of them for its beginning, where it has to be cut. */
const maxBeginning = 1024;
const ellipsis = ' [...] ';

/** The gRPC status of anything that was thrown. The end of the message is kept, since clients match on it. */
export function statusOf(thrown: unknown): FailureStatus {
  const error = TaskError.from(thrown);
  return { code: numberOfCode(error.code), details: shorten(printable(error.message)) };
}

/** Codes that say something is wrong with shimd or the host, not with the request. */
const alarming: ReadonlySet<ErrorCode> = new Set(['INTERNAL', 'DATA_LOSS', 'RESOURCE_EXHAUSTED']);

/** True where the operator has to hear of it. */
export function isAlarming(thrown: unknown): boolean {
  return !(thrown instanceof TaskError) || alarming.has(thrown.code);
}

/** What a client sent comes back in messages, and ends on terminals and in logs: nothing in it may steer those. */
function printable(text: string): string {
  return text
    .replace(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, '\uFFFD')
    .replace(/(?![\n\t])\p{Cc}|\p{Bidi_Control}|[\u2028\u2029]/gu, (character) => {
      return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
    });
}

function shorten(text: string): string {
  // A character takes nine bytes at most.
  if (text.length * 9 <= maxDetails || encodedLength(text) <= maxDetails) return text;
  const rest = maxDetails - maxBeginning - ellipsis.length;
  // No more characters than bytes.
  const beginning = within(Array.from(text.slice(0, maxBeginning)), maxBeginning);
  const end = within(Array.from(text.slice(-rest)).toReversed(), rest).toReversed();
  return beginning.join('') + ellipsis + end.join('');
}

/** The first of these characters that fit into so many bytes of the wire. */
function within(characters: readonly string[], bytes: number): readonly string[] {
  let used = 0;
  const end = characters.findIndex((character) => {
    used += encodedLength(character);
    return used > bytes;
  });
  return end < 0 ? characters : characters.slice(0, end);
}

/** Bytes of a text as `grpc-message`: all but printable ASCII and the percent sign as `%XX`. */
function encodedLength(text: string): number {
  let length = 0;
  for (const byte of Buffer.from(text)) length += byte >= 0x20 && byte <= 0x7e && byte !== 0x25 ? 1 : 3;
  return length;
}
