import { StringDecoder } from 'node:string_decoder';
import { adminDefinition } from '../../shared/grpc/index.ts';
import { defineCommand } from '../command.ts';
import { type Context, jsonLine } from '../context.ts';
import { exitStatus } from '../exit-status.ts';
import { flag, value } from '../option.ts';
import { printableLine } from '../output/printable.ts';
import { parseSize, parseWhole } from '../parse.ts';

/** A line that gets longer is shown in pieces, in characters: nothing of it has to fit into memory. */
const longestLine = 64 << 10;

export const logs = defineCommand({
  description:
    'Prints the log of a shim, the process between the daemon and the tasks: what it says of itself, such as warnings, why a runtime ' +
    'failed, or its last words. This is not the output of the task, which goes where the task was given to write, for instance ' +
    "to the file of 'shimd run --log'. ID is a container's, for the log of the shim that its task is in (a shared shim has " +
    "one log for all its tasks), or a shim's, as 'shimd shims' shows it. The latest part of a log is kept, 256 KiB to 1 MiB or so, " +
    'and it goes with its shim.',
  arguments: [{ name: '<id>', summary: 'id of the container, or of the shim' }],
  options: {
    follow: flag('-f, --follow', 'go on with what the shim writes, until it is gone or an interrupt'),
    tail: value('--tail <lines>', 'of what is there, at most so many lines from the end', parseWhole, {
      default: 'all',
    }),
    bytes: value('--bytes <size>', 'of what is there, at most so much from the end: 64k', parseSize, {
      default: 'all',
    }),
  },
  examples: [
    ['shimd logs web', "what is kept of the log of the shim that has web's task"],
    ['shimd logs -f --tail 10 web', 'the last ten lines, and what comes'],
    ['shimd logs --json shared-5f0c9e3a7b21d604', 'of a shared shim, one JSON object a line'],
  ],
  json: true,

  async run(context, { follow, tail, bytes }, [id = '']) {
    const daemon = await context.daemon();
    const interrupted = new AbortController();
    const stop = () => interrupted.abort();
    process.once('SIGINT', stop).once('SIGTERM', stop);
    const request = {
      id,
      follow,
      ...(tail === undefined ? {} : { lines: tail }),
      ...(bytes === undefined ? {} : { bytes }),
    };
    const lines = new Lines(context);
    const parts = daemon.stream(adminDefinition.shimLog, context.namespace, request, interrupted.signal);
    // Printing to a pipe waits for its reader, and the daemon reads on only when this does.
    for await (const { shim, content, dropped } of parts) lines.add(shim, content, dropped);
    lines.end();
    return exitStatus.ok;
  },
});

/** Parts of a log, cut anywhere, as the lines that they are. */
class Lines {
  readonly #context: Context;
  readonly #decoder = new StringDecoder('utf8');
  #shim = '';
  #rest = '';
  #dropped = false;

  constructor(context: Context) {
    this.#context = context;
  }

  add(shim: string, content: Uint8Array, dropped: boolean): void {
    this.#shim = shim;
    if (dropped) {
      this.end();
      this.#dropped = true;
      if (!this.#context.json) this.#context.warn(`what the log of shim ${shim} had before this is not kept any more`);
    }
    const lines = (this.#rest + this.#decoder.write(Buffer.from(content))).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#print(line);
    if (this.#rest.length > longestLine) this.end();
  }

  /** What has no end of a line is printed as one. */
  end(): void {
    const rest = this.#rest + this.#decoder.end();
    this.#rest = '';
    if (rest !== '') this.#print(rest);
  }

  #print(line: string): void {
    const { json, namespace } = this.#context;
    if (!json) {
      this.#context.print(`${printableLine(line)}\n`);
      return;
    }
    this.#context.print(jsonLine({ namespace, shim: this.#shim, line, ...(this.#dropped ? { dropped: true } : {}) }));
    this.#dropped = false;
  }
}
