import { runtimeName } from '../../src/process-shim/about.ts';
import { containersDefinition } from '../../src/shared/grpc/index.ts';
import { restartLabels } from '../../src/shared/restart-labels.ts';
import { typeUrls, wireAny } from '../../src/shared/wire/any.ts';
import type { Daemon } from './daemon.ts';
import { jsonAny, specAny } from './spec.ts';
import { createTask, getTask, runcRuntime, Status, startTask } from './tasks.ts';
import { waitFor } from './wait-for.ts';

/** Short pauses, and a comparison that comes often enough to show what must not happen. */
export const quick = '[restart]\ninterval = "200ms"\nfirst_pause = "10ms"\nlongest_pause = "80ms"\ngrace = "2s"\n';
export interface ServiceOptions {
  readonly policy?: string;
  readonly args?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly rootfs?: string;
  readonly stdout?: string;
  readonly embedded?: boolean;
}

const forever = ['sleep', '3600'];

export async function createService(daemon: Daemon, id: string, options: ServiceOptions = {}): Promise<void> {
  const { policy = 'always', args = forever, labels = {}, embedded = false } = options;
  const hostSpec = { ociVersion: '1.0.2', process: { args, cwd: '/', env: ['PATH=/usr/bin:/bin'] } };
  const cgroup = `${daemon.namespace}/${id}`;
  const more = options.rootfs === undefined ? {} : { rootfs: options.rootfs };
  await daemon.client.call(containersDefinition.create, {
    container: {
      id,
      runtime: { name: embedded ? runtimeName : runcRuntime },
      labels: { [restartLabels.status]: 'running', [restartLabels.policy]: policy, ...labels },
      spec: embedded ? wireAny(jsonAny(typeUrls.spec, hostSpec)) : specAny({ id: cgroup, args, ...more }),
    },
  });
}

/** Container, task and start in one; answers the pid. */
export async function launchService(daemon: Daemon, id: string, options: ServiceOptions = {}): Promise<number> {
  await createService(daemon, id, options);
  const { stdout } = options;
  const pid = await createTask(daemon, id, stdout === undefined ? {} : { stdout, stderr: stdout });
  await startTask(daemon, id);
  return pid;
}

export async function labelsOf(daemon: Daemon, id: string): Promise<Record<string, string>> {
  const { container } = await daemon.client.call(containersDefinition.get, { id });
  return container?.labels ?? {};
}

export const countOf = async (daemon: Daemon, id: string): Promise<number> =>
  Number((await labelsOf(daemon, id))[restartLabels.count] ?? 0);

/** Waits for a task other than the one with `pid` to run; answers its pid. */
export function nextPid(daemon: Daemon, id: string, pid: number): Promise<number> {
  return waitFor(
    async () => {
      const task = await getTask(daemon, id);
      return task.status === Status.RUNNING && task.pid !== pid && task.pid;
    },
    { budget: 30_000, doing: `${id} to run again after pid ${pid}` },
  );
}

/** Some time by the daemon's clock: another service comes back that often. */
export async function whileOtherRestarts(daemon: Daemon, id: string, times = 3, embedded = false): Promise<void> {
  await launchService(daemon, id, { args: ['/bin/sh', '-c', 'exit 0'], embedded });
  await waitFor(async () => (await countOf(daemon, id)) >= times, { budget: 30_000, doing: `${id} to come back` });
  await daemon.shimd(['rm', '-f', id]);
}
