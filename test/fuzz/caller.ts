import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import type { Method } from './methods.ts';

/** One call of a fuzz run. */
export interface Call {
  readonly method: Method;
  readonly namespace: string | undefined;
  readonly bytes: Buffer;
  /** Milliseconds until the client gives up; some do so in the middle of things. */
  readonly patience: number;
}

export interface Outcome {
  readonly code: string;
  readonly details: string;
}

/** Makes calls out of bytes. */
export class Caller implements Disposable {
  readonly #client: Client;

  constructor(socket: string) {
    this.#client = new Client(`unix:${socket}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': 16 << 20,
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  call({ method, namespace, bytes, patience }: Call): Promise<Outcome> {
    const metadata = new Metadata();
    if (namespace !== undefined) metadata.set('containerd-namespace', namespace);
    const options = { deadline: Date.now() + patience };
    const same = (value: Buffer): Buffer => value;
    return new Promise((resolve) => {
      const done = (code: number, details: string) => resolve({ code: status[code] ?? String(code), details });
      if (method.takesStream) {
        const stream = this.#client.makeBidiStreamRequest(method.path, same, same, metadata, options);
        stream.on('status', ({ code, details }) => done(code, details));
        stream.on('error', () => undefined);
        stream.on('data', () => undefined);
        stream.write(bytes);
        stream.end();
      } else if (method.isStream) {
        const stream = this.#client.makeServerStreamRequest(method.path, same, same, bytes, metadata, options);
        stream.on('status', ({ code, details }) => done(code, details));
        stream.on('error', () => undefined);
        stream.on('data', () => undefined);
      } else {
        this.#client.makeUnaryRequest(method.path, same, same, bytes, metadata, options, (error) =>
          done(error?.code ?? status.OK, error?.details ?? ''),
        );
      }
    });
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}
