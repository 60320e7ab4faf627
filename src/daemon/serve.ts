import type { Logger } from '../shared/log/logger.ts';
import { createWinstonLogger } from '../shared/log/winston-logger.ts';
import { loadSettings } from './config/load-settings.ts';
import type { Settings } from './config/settings.ts';
import type { Daemon } from './daemon.ts';
import { type ExitCode, exitCodes, StartError } from './exit-code.ts';
import { exitOnCrash } from './lifecycle/crash.ts';
import { keepAllocatorLean, keepHeapLean } from './lifecycle/lean-memory.ts';
import { ServiceManager } from './lifecycle/service-manager.ts';
import { listenForStop } from './lifecycle/stop-signals.ts';
import type { ServeOptions } from './serve-command.ts';

/** Runs the daemon until a signal stops it. Resolves with the exit code; never rejects. */
export async function serve(options: ServeOptions): Promise<ExitCode> {
  exitOnCrash();
  let settings: Settings;
  try {
    const { root, state, address, logLevel, workers } = options;
    settings = await loadSettings({ root, state, address, logLevel, workers }, options.config);
  } catch (error) {
    return failed(error);
  }
  const logger = createWinstonLogger({
    level: settings.logLevel,
    format: settings.logFormat,
    stream: process.stderr,
  });
  return run(settings, logger);
}

async function run(settings: Settings, logger: Logger): Promise<ExitCode> {
  const manager = ServiceManager.fromEnvironment(process.env, logger);
  using signals = listenForStop((signal) => {
    logger.warn('stop forced', { signal });
    process.exit(exitCodes.failure);
  });
  let daemon: Daemon;
  try {
    // Not before the configuration is known to be good: it loads all that serving takes, here and in the threads.
    keepAllocatorLean();
    const { EarlyThreads } = await import('../pool/early-threads.ts');
    await using early = new EarlyThreads(settings.workers);
    const { Daemon } = await import('./daemon.ts');
    keepHeapLean();
    daemon = await Daemon.start(settings, logger, early);
  } catch (error) {
    manager.close();
    return failed(error, logger);
  }
  // Nobody has to read it: the log has the same.
  process.stdout.on('error', () => undefined);
  process.stdout.write(`shimd ready: unix://${settings.address} (pid ${process.pid})\n`);
  manager.ready(`serving on ${settings.address}`);

  const signal = await signals.first;
  logger.info('daemon stopping', { signal });
  manager.stopping();
  const clean = await daemon.stop();
  manager.close();
  logger.info('daemon stopped', { clean });
  return clean ? exitCodes.ok : exitCodes.failure;
}

/** The one line that an operator sees; the stack is in the log where it helps. */
function failed(error: unknown, logger?: Logger): ExitCode {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof StartError)) logger?.debug('start failed', { error });
  process.stderr.write(`shimd: ${message}\n`);
  return error instanceof StartError ? error.exitCode : exitCodes.failure;
}
