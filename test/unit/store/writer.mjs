// Stores exits and containers as fast as it can and tells how many, until it is killed.
import path from 'node:path';
import { createViteServer } from 'vitest/node';

const root = path.resolve(import.meta.dirname, '../../..');
const vite = await createViteServer({ root, configFile: false, logLevel: 'silent', server: { middlewareMode: true } });
const { Store } = await vite.ssrLoadModule('/src/store/store.ts');
const { silentLogger } = await vite.ssrLoadModule('/src/shared/log/logger.ts');
const store = await Store.open(process.argv[2], { logger: silentLogger });
const any = { typeUrl: 'spec', value: new Uint8Array(100) };
for (let i = 0; ; i++) {
  store.exits.put(
    { namespace: 'default', task: `task-${i}` },
    { pid: i, status: 5, exitedAt: { seconds: 1, nanos: 0 }, source: 'wait' },
  );
  store.containers.create('default', {
    id: `container-${i}`,
    labels: {},
    image: '',
    runtime: { name: 'io.containerd.runc.v2' },
    spec: any,
    snapshotter: '',
    snapshotKey: '',
    extensions: {},
    sandbox: '',
  });
  process.stdout.write(`${i}\n`);
  if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
}
