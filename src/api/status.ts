import { type ErrorCode, numberOfCode, TaskError } from '../shared/errors/index.ts';

/** How a call ends on the wire where it fails. */
export interface FailureStatus {
  readonly code: number;
  readonly details: string;
}

/** The longest message that is sent: it travels in a header, and headers are limited. */
const maxDetails = 8 * 1024;
const ellipsis = ' […] ';

/** The gRPC status of anything that was thrown. The end of the message is kept, since clients match on it. */
export function statusOf(thrown: unknown): FailureStatus {
  const error = TaskError.from(thrown);
  return { code: numberOfCode(error.code), details: printable(shorten(error.message)) };
}

/** Codes that say something is wrong with shimd or the host, not with the request. */
const alarming: ReadonlySet<ErrorCode> = new Set(['INTERNAL', 'DATA_LOSS', 'RESOURCE_EXHAUSTED']);

/** True where the operator has to hear of it. */
export function isAlarming(thrown: unknown): boolean {
  return !(thrown instanceof TaskError) || alarming.has(thrown.code);
}

function shorten(text: string): string {
  if (text.length <= maxDetails) return text;
  const head = 1024;
  return text.slice(0, head) + ellipsis + text.slice(text.length - (maxDetails - head - ellipsis.length));
}

/** Half of a surrogate pair cannot be encoded, and grpc-js would throw. */
function printable(text: string): string {
  return text.replace(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, '\uFFFD');
}
