// Stores exits, and stores and removes containers by eight at once, as fast as it can and tells how many, until it is killed.
import path from 'node:path';
import { createViteServer } from 'vitest/node';

const root = path.resolve(import.meta.dirname, '../../..');
const vite = await createViteServer({ root, configFile: false, logLevel: 'silent', server: { middlewareMode: true } });
const { Store } = await vite.ssrLoadModule('/src/store/store.ts');
const { silentLogger } = await vite.ssrLoadModule('/src/shared/log/logger.ts');
const store = await Store.open(process.argv[2], { logger: silentLogger });
const any = { typeUrl: 'spec', value: new Uint8Array(100) };
const exit = { pid: 1, status: 5, exitedAt: { seconds: 1, nanos: 0 }, source: 'wait' };
const tell = (kind, count) => process.stdout.write(`${kind} ${count}\n`);

const create = (number, step) =>
  store.containers.create('default', {
    id: `container-${number}-${step}`,
    labels: {},
    image: '',
    runtime: { name: 'io.containerd.runc.v2' },
    spec: any,
    snapshotter: '',
    snapshotKey: '',
    extensions: {},
    sandbox: '',
  });

const callers = Array.from({ length: 8 }, (_, number) => number);
for (let step = 1; ; step++) {
  store.exits.put({ namespace: 'default', task: `task-${step}` }, exit);
  tell('exit', step);
  await Promise.all(callers.map((number) => create(number, step)));
  tell('container', step);
  if (step % 2 === 1) continue;
  const half = step / 2;
  await Promise.all(callers.map((number) => store.containers.delete('default', `container-${number}-${half}`)));
  tell('removed', half);
}
