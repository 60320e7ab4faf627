import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { OrphanReaper } from '../../../src/pool/orphan-reaper.ts';
import { silentLogger } from '../../../src/shared/log/logger.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const starter = `
  const { spawn } = require('node:child_process');
  const child = spawn('sleep', ['0.3'], { stdio: 'ignore' });
  require('node:worker_threads').parentPort.postMessage(child.pid);
  setInterval(() => undefined, 1000);
`;

const stateOf = (pid: number) =>
  readFile(`/proc/${pid}/stat`, 'utf8').then(
    (stat) => stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3),
    () => 'gone',
  );

it('reaps what a lost thread had started, and leaves the children of living threads to them', async () => {
  const lost = new Worker(starter, { eval: true });
  const [orphan] = await once(lost, 'message');
  await lost.terminate();
  const living = new Worker(
    starter
      .replace("'0.3'", "'0.6'")
      .replace(
        'postMessage(child.pid)',
        "postMessage('up'); child.once('exit', (code) => require('node:worker_threads').parentPort.postMessage({ code }))",
      ),
    { eval: true },
  );
  const reaper = new OrphanReaper({ logger: silentLogger, every: 300, looks: 20 });
  try {
    await once(living, 'message');
    reaper.threadLost();
    await waitFor(async () => (await stateOf(orphan)) === 'gone', { doing: 'the orphan to be reaped' });
    expect(await once(living, 'message')).toEqual([{ code: 0 }]);
  } finally {
    reaper.close();
    await living.terminate();
  }
});
