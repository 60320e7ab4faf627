import { createRequire } from 'node:module';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

const grpc = createRequire(import.meta.url)('@grpc/grpc-js');

/** shimd's own definitions of containerd's services, out of a build. */
export async function loadApi(build) {
  const load = (file) => import(pathToFileURL(path.join(build, file)).href);
  const [definitions, events] = await Promise.all([
    load('src/shared/grpc/index.js'),
    load('src/shared/proto/gen/events.js'),
  ]);
  return { ...definitions, taskExit: events.containerd.events.TaskExit };
}

/** The client of whatever daemon serves containerd's API at a socket: the very same for each that is measured. */
export class Client {
  #client;
  #metadata = new grpc.Metadata();

  constructor(socket, namespace, api) {
    this.api = api;
    this.namespace = namespace;
    this.#metadata.set('containerd-namespace', namespace);
    this.#client = new grpc.Client(`unix:${socket}`, grpc.credentials.createInsecure(), {
      'grpc.max_receive_message_length': 16 << 20,
      'grpc.initial_reconnect_backoff_ms': 5,
      'grpc.min_reconnect_backoff_ms': 5,
      'grpc.max_reconnect_backoff_ms': 5,
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  /** `budget` in milliseconds. */
  call(method, request, budget = 120_000) {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        this.#metadata,
        { deadline: Date.now() + budget },
        (error, answer) => (error ? reject(new Error(`${method.path}: ${error.message}`)) : resolve(answer)),
      );
    });
  }

  /** Calls until it is answered, at most `budget` milliseconds long. */
  async untilAnswered(method, request, budget = 30_000) {
    const end = Date.now() + budget;
    for (;;) {
      try {
        return await this.call(method, request, 5_000);
      } catch (error) {
        if (Date.now() > end) throw error;
        await delay(5);
      }
    }
  }

  /** Tells each exit event with the moment of its arrival; resolves to a function that ends it. */
  async onExit(listener) {
    const { subscribe } = this.api.eventsDefinition;
    const stream = this.#client.makeServerStreamRequest(
      subscribe.path,
      subscribe.requestSerialize,
      subscribe.responseDeserialize,
      { filters: [`namespace==${this.namespace},topic=="/tasks/exit"`] },
      this.#metadata,
      {},
    );
    stream.on('data', ({ event }) => {
      const at = performance.now();
      listener(this.api.taskExit.decode(event.value), at);
    });
    stream.on('error', () => undefined);
    // containerd sends no headers before the first event, so nothing tells that it listens: give it time.
    await delay(300);
    return () => stream.cancel();
  }

  close() {
    this.#client.close();
  }
}
