import { once } from 'node:events';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { Binding } from './binding.ts';
import { statusOf } from './status.ts';

const name = 'grpc.reflection.v1.ServerReflection';
/** The same messages under the name that older tools ask for; it has no descriptor of its own, and is not listed. */
const olderName = 'grpc.reflection.v1alpha.ServerReflection';

/**
 * gRPC's reflection, so that a client can ask for the types of what is served: `services` are the names that it lists.
 * The descriptors are read with the first question: a daemon that nobody asks does not have them in memory.
 */
export function reflectionService(services: readonly string[]): Readonly<Record<string, Binding>> {
  const listed = [...services, name].toSorted();
  return Object.fromEntries([name, olderName].map((one) => [one, bind(`/${one}/ServerReflectionInfo`, listed)]));
}

function bind(path: string, services: readonly string[]): Binding {
  return ({ server, calls }) => {
    server.register<Buffer, Buffer>(
      path,
      (call: ServerDuplexStream<Buffer, Buffer>) => {
        const serve = async (): Promise<void> => {
          const active = calls.enter(true);
          call.on('cancelled', () => active.cancel());
          try {
            const { answer } = await import('./reflection.ts');
            // The end of the questions is not that of the answers.
            const questions: AsyncIterator<Buffer, unknown> = call.iterator({ destroyOnReturn: false });
            for (;;) {
              const question = await active.whileActive(questions.next());
              if (question.done) return;
              const more = call.write(answer(question.value, services));
              if (!more) await active.whileActive(once(call, 'drain', { signal: active.signal }));
            }
          } finally {
            active.leave();
          }
        };
        serve().then(
          () => call.end(),
          (error: unknown) => call.emit('error', statusOf(error)),
        );
      },
      (bytes) => bytes,
      (bytes) => bytes,
      'bidi',
    );
  };
}
