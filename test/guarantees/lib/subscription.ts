import { eventsDefinition } from '../../../src/shared/grpc/index.ts';
import { wireAny } from '../../../src/shared/wire/any.ts';
import type { Stream } from '../../helpers/api-client.ts';
import type { Daemon } from '../../helpers/daemon.ts';
import { type Envelope, subscribe } from '../../helpers/tasks.ts';
import { uniqueName } from '../../helpers/test-run.ts';
import { waitFor } from '../../helpers/wait-for.ts';

/** A subscription to the task events of the daemon's namespace that is known to stand: what happens from now on is in it. */
export async function listen(daemon: Daemon): Promise<Stream<Envelope>> {
  const mark = `/mark/${uniqueName('m').replaceAll('-', '/')}`;
  const stream = subscribe(daemon, `namespace==${daemon.namespace},topic~=^/tasks/`, `topic=="${mark}"`);
  await waitFor(
    async () => {
      await daemon.client.call(eventsDefinition.publish, {
        topic: mark,
        event: wireAny({ typeUrl: 'mark', value: new Uint8Array(1) }),
      });
      return stream.messages.some(({ topic }) => topic === mark);
    },
    { doing: 'the subscription to stand' },
  );
  return stream;
}
