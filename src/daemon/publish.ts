import path from 'node:path';
import { parseArgs } from 'node:util';
import { invalidArgument, TaskError } from '../shared/errors/index.ts';
import { parseNamespace } from '../shared/identifiers.ts';
import { containerd, google } from '../shared/proto/gen/events.js';
import { TtrpcClient, type UnaryMethod } from '../shared/ttrpc/index.ts';
import { deadlineIn, until } from '../shared/util/deadline.ts';
import { timestampNow } from '../shared/wire/timestamp.ts';
import { exitCodes } from './exit-code.ts';

const { ForwardRequest } = containerd.services.events.ttrpc.v1;

const forward: UnaryMethod<containerd.services.events.ttrpc.v1.IForwardRequest, void> = {
  service: 'containerd.services.events.ttrpc.v1.Events',
  name: 'Forward',
  encode: (request) => ForwardRequest.encode(request).finish(),
  decode: () => undefined,
};

/** Milliseconds that reading the event and sending it may take together: a shim waits for it. */
const budget = 5_000;

/** What a ttrpc message can hold. */
const maxEventLength = 4 << 20;

const valueFlag = /^--?(?:address|namespace)(=|$)/;

/**
 * True for the command line of a publish binary: `publish` after nothing but flags. Shims call it in Go's way:
 * `shimd -address X -namespace N publish --topic T`, an Any on standard input.
 */
export function isPublishCall(args: readonly string[]): boolean {
  let index = 0;
  for (let flag = valueFlag.exec(args[index] ?? ''); flag !== null; flag = valueFlag.exec(args[index] ?? '')) {
    index += flag[1] === '=' ? 1 : 2;
  }
  return args[index] === 'publish';
}

/** Publishes the event on standard input to the daemon; resolves with the exit code. */
export async function runPublish(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = process.env,
  input: AsyncIterable<Uint8Array> = process.stdin,
): Promise<number> {
  try {
    await publish(args, environment, input);
    return exitCodes.ok;
  } catch (error) {
    process.stderr.write(`shimd publish: ${error instanceof Error ? error.message : String(error)}\n`);
    return exitCodes.failure;
  }
}

async function publish(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  input: AsyncIterable<Uint8Array>,
): Promise<void> {
  const { address, namespace, topic } = parsePublishArgs(args);
  const publisher = parseNamespace(namespace);
  if (topic === '') throw invalidArgument('--topic is missing');
  const deadline = deadlineIn(budget);
  const bytes = await until(readAll(input), { deadline, doing: 'read the event from standard input' });
  const event = decodeEvent(bytes);
  const endpoint = environment['TTRPC_ADDRESS'] ?? path.join(path.dirname(address), 'events.sock');
  using client = await TtrpcClient.connect(endpoint, { deadline });
  const envelope = { timestamp: timestampNow(), namespace: publisher, topic, event };
  await client.call(forward, { envelope }, { deadline });
}

export function parsePublishArgs(args: readonly string[]): { address: string; namespace: string; topic: string } {
  // Go's flags may have one dash; what Node's parser knows of one dash are bundles of letters.
  const doubled = args.map((argument) => argument.replace(/^-(?=[a-z])/, '--'));
  const { values } = parseArgs({
    args: doubled,
    allowPositionals: true,
    options: {
      address: { type: 'string', default: '' },
      namespace: { type: 'string', default: '' },
      topic: { type: 'string', default: '' },
    },
  });
  return values;
}

function decodeEvent(bytes: Uint8Array): google.protobuf.Any.$Properties {
  try {
    const event = google.protobuf.Any.decode(bytes);
    if (event.type_url !== '') return { type_url: event.type_url, value: event.value };
  } catch (error) {
    throw new TaskError('INVALID_ARGUMENT', 'standard input is no serialized google.protobuf.Any', { cause: error });
  }
  throw invalidArgument('standard input is no serialized google.protobuf.Any with a type');
}

async function readAll(input: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of input) {
    length += chunk.length;
    if (length > maxEventLength) throw invalidArgument(`the event is longer than ${maxEventLength} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
