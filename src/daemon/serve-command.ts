import { Command, InvalidArgumentError, Option } from 'commander';
import { defaultDirectories } from '../shared/defaults.ts';
import { type LogLevel, logLevels } from '../shared/log/logger.ts';
import { exitCodes } from './exit-code.ts';

export interface ServeOptions {
  readonly root?: string;
  readonly state?: string;
  readonly address?: string;
  readonly config?: string;
  readonly logLevel?: LogLevel;
  readonly workers?: number;
}

/** `shimd serve`. The daemon itself is loaded when the command runs: showing its help costs nothing. */
export function serveCommand(onExitCode: (code: number) => void): Command {
  const defaults = defaultDirectories();
  return new Command('serve')
    .description('Runs the daemon in the foreground. SIGTERM and SIGINT stop it in order; tasks keep running.')
    .option('--root <dir>', `persistent metadata (default: ${defaults.root})`)
    .option('--state <dir>', `sockets and bundles (default: ${defaults.state})`)
    .option('--address <socket>', 'gRPC socket (default: shimd.sock in the state directory)')
    .option('--config <file>', 'configuration file in TOML; flags win over it')
    .addOption(new Option('--log-level <level>', 'lowest level of the log lines (default: info)').choices(logLevels))
    .option('--workers <count>', 'worker threads (default: 2)', parseWorkers)
    .addHelpText(
      'after',
      [
        '',
        'Exit codes: 0 stopped in order, 1 failed, 2 wrong flag or configuration, 3 another daemon is running.',
        '',
        'Example:',
        '  shimd serve --root /tmp/s/root --state /tmp/s/state --log-level debug',
      ].join('\n'),
    )
    .action(async (options: ServeOptions) => {
      const { serve } = await import('./serve.ts');
      onExitCode(await serve(options));
    });
}

/** Runs `shimd serve` with the arguments that follow the word; resolves with the exit code. */
export async function runServe(args: readonly string[]): Promise<number> {
  let code: number = exitCodes.ok;
  // commander ends the process on its own: 0 after help, else as told here.
  const command = serveCommand((exitCode) => (code = exitCode));
  command.name('shimd serve').exitOverride((error) => {
    process.exit(error.exitCode === 0 ? exitCodes.ok : exitCodes.configuration);
  });
  await command.parseAsync(args, { from: 'user' });
  return code;
}

function parseWorkers(text: string): number {
  const workers = Number(text);
  if (!Number.isInteger(workers) || workers < 1 || workers > 64) {
    throw new InvalidArgumentError('It must be a whole number from 1 to 64.');
  }
  return workers;
}
