import { adminDefinition } from '../../../src/shared/grpc/index.ts';
import { Daemon } from '../../helpers/daemon.ts';
import { fixtureRuntime, fixtureShims } from '../../helpers/fixture-shims.ts';

/** A shim with sandboxes that does what their annotations say. */
export const runtime = fixtureRuntime('sandbox');

/** What sandboxes and their tasks tell. */
export const topics = 'topic~="^/(sandboxes|tasks)/"';

/** A daemon that has that shim, and gives up on it soon. */
export function startDaemon(): Promise<Daemon> {
  return Daemon.start({
    programs: [fixtureShims],
    config: '[deadlines]\nstate = "1s"\nshutdown = "1s"\ncleanup = "2s"\n',
  });
}

export async function shimsOf(daemon: Daemon) {
  const answer = await daemon.client.call(adminDefinition.listShims, {});
  return answer.shims.map(({ id, placement, tasks }) => ({ id, placement, tasks }));
}
