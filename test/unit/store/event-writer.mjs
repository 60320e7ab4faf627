// Adds events to the log in a directory as fast as it can and tells each, until it is killed.
import path from 'node:path';
import { createViteServer } from 'vitest/node';

const root = path.resolve(import.meta.dirname, '../../..');
const vite = await createViteServer({ root, configFile: false, logLevel: 'silent', server: { middlewareMode: true } });
const { EventLog } = await vite.ssrLoadModule('/src/store/event-log.ts');
const { silentLogger } = await vite.ssrLoadModule('/src/shared/log/logger.ts');
const log = EventLog.open(process.argv[2], { logger: silentLogger, trusted: true });
for (let i = Number(process.argv[3]); ; i++) {
  log.append(Buffer.from(String(i)));
  process.stdout.write(`${i}\n`);
  if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
}
