import { spawn } from 'node:child_process';
import { createWriteStream, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

const grpc = createRequire(import.meta.url)('@grpc/grpc-js');

const sandboxExit = '/sandboxes/exit';

/** A failed call, with its code's name. */
export class CallFailure extends Error {
  constructor(method, error) {
    super(`${method}: ${error.details}`);
    this.code = grpc.status[error.code] ?? String(error.code);
  }
}

/** The daemon under test: started, killed, started again, and called. Its log goes to one file. */
export class Daemon {
  #child;
  #client;
  #log;
  #options;
  #starting;
  #streams = new Set();
  /** Of the last event that was read from the log. */
  #cursor;
  starts = 0;
  /** True once it is not to be started again. */
  over = false;

  static async open(options) {
    const load = (file) => import(pathToFileURL(path.join(options.build, file)).href);
    const [definitions, events] = await Promise.all([
      load('src/shared/grpc/index.js'),
      load('src/shared/proto/gen/events.js'),
    ]);
    return new Daemon({ ...options, definitions, events: events.containerd.events });
  }

  constructor(options) {
    this.#options = options;
    this.#log = createWriteStream(path.join(options.directory, 'daemon.log'));
    this.definitions = options.definitions;
    this.eventTypes = options.events;
    this.namespace = options.namespace;
    this.socket = path.join(options.state, 'shimd.sock');
    this.#connect();
  }

  get pid() {
    return this.#child?.pid;
  }

  #connect() {
    this.#client = new grpc.Client(`unix:${this.socket}`, grpc.credentials.createInsecure(), {
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 300,
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  /** Breaks every call under way: the clients of a daemon die too. */
  cancelClients() {
    this.#client.close();
    this.#client.getChannel().close();
    this.#connect();
  }

  /** Starts it and waits until it serves, at most 30 s. */
  start() {
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  async #start() {
    const { build, root, state, directory, config, environment } = this.#options;
    const file = path.join(directory, 'config.toml');
    writeFileSync(file, config);
    const args = ['serve', '--root', root, '--state', state, '--config', file, '--log-level', 'debug'];
    const child = spawn(process.execPath, [path.join(build, 'src/main.js'), ...args], {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.starts += 1;
    child.gone = new Promise((resolve) => child.once('exit', resolve));
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (bytes) => {
        this.#log.write(bytes);
        if (output.length < 10_000) output += bytes;
      });
    }
    const began = Date.now();
    while (!output.includes('shimd ready: ')) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the daemon ended: ${output}`);
      if (Date.now() - began > 30_000) throw new Error('the daemon does not serve after 30 s');
      await delay(20);
    }
    return Date.now() - began;
  }

  async kill(signal = 'SIGKILL') {
    const child = this.#child;
    child.kill(signal);
    await child.gone;
  }

  call(method, request, budget = 20_000) {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        this.#metadata(),
        { deadline: Date.now() + budget },
        (error, answer) => (error ? reject(new CallFailure(method.path.split('/').at(-1), error)) : resolve(answer)),
      );
    });
  }

  #metadata() {
    const metadata = new grpc.Metadata();
    metadata.set('containerd-namespace', this.namespace);
    return metadata;
  }

  /** Calls a method that answers with a stream; resolves when that has ended, to the failure that ended it. */
  #stream(method, request, onMessage) {
    return new Promise((resolve) => {
      const { path, requestSerialize, responseDeserialize } = method;
      const stream = this.#client.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        this.#metadata(),
        {},
      );
      this.#streams.add(stream);
      const over = (error) => {
        this.#streams.delete(stream);
        resolve(error);
      };
      stream.on('data', onMessage);
      stream.once('error', over);
      stream.once('end', () => over(undefined));
    });
  }

  get #exitFilters() {
    return [sandboxExit, '/tasks/exit'].map((topic) => `namespace==${this.namespace},topic=="${topic}"`);
  }

  /** Passes an exit to whoever keeps the account of it: `how` is the name of the ledger's method. */
  #tell(ledger, how, { topic, event: { value } }) {
    if (topic === sandboxExit) {
      const { sandboxId, exitStatus } = this.eventTypes.SandboxExit.decode(value);
      ledger.sandboxes[how]({ sandbox: sandboxId, status: exitStatus });
      return;
    }
    const exit = this.eventTypes.TaskExit.decode(value);
    const exec = exit.id === exit.containerId ? '' : exit.id;
    ledger[how]({ task: exit.containerId, exec, pid: exit.pid, status: exit.exitStatus });
  }

  /** Tells the ledger of the exits that a subscriber gets, for as long as the run lasts, over any number of lost connections. */
  async followExits(ledger) {
    const { subscribe } = this.definitions.eventsDefinition;
    while (!this.over) {
      await this.#stream(subscribe, { filters: this.#exitFilters }, (envelope) => {
        ledger.listening();
        this.#tell(ledger, 'event', envelope);
      });
      ledger.deaf();
      await delay(50);
    }
  }

  /** Tells the ledger of the exits in the daemon's own log of events, read on from the last one whenever the stream breaks. */
  async followLog(ledger) {
    while (!this.over) {
      await this.#readLog(ledger, {});
      await delay(50);
    }
  }

  /** Reads the log to its end of now. */
  async finishLog(ledger) {
    const error = await this.#readLog(ledger, { untilNow: true });
    if (error) ledger.violation(`the log of events cannot be read: ${error.message}`);
  }

  async #readLog(ledger, more) {
    const from = this.#cursor === undefined ? { oldest: true } : { after: this.#cursor };
    const request = { filters: this.#exitFilters, ...from, ...more };
    const error = await this.#stream(this.definitions.adminDefinition.events, request, ({ cursor, ...envelope }) => {
      // Read by finishLog too.
      if (this.#cursor !== undefined && BigInt(String(cursor)) <= BigInt(String(this.#cursor))) return;
      this.#cursor = cursor;
      this.#tell(ledger, 'logged', envelope);
    });
    if (error?.code === grpc.status.OUT_OF_RANGE) ledger.violation(`the log of events has a gap: ${error.details}`);
    return error;
  }

  close() {
    this.over = true;
    for (const stream of this.#streams) stream.cancel();
    this.#client.close();
    this.#log.end();
  }
}
