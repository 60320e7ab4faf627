import { CommanderError, Command as Program } from 'commander';
import { defaultAddress, defaultNamespace } from '../shared/defaults.ts';
import { parseNamespace } from '../shared/identifiers.ts';
import type { Daemon } from './client/daemon.ts';
import { addGlobalOptions, configure, type GlobalOptions, globalOptions, optionValue } from './commander-adapter.ts';
import { commands } from './commands/index.ts';
import type { Context } from './context.ts';
import { exitStatus } from './exit-status.ts';
import { Failure, oneLine, UsageError } from './failure.ts';
import { globalHelp } from './help.ts';

/** What the way out has to know of the command that is being run. */
interface Running {
  name: string;
  /** For a command line that is wrong. */
  usageStatus: number;
  /** For a command that failed. */
  failedStatus: number;
  daemon: Daemon | undefined;
}

/**
 * Runs the command line `argv` (without node and script) and resolves with the exit code; never rejects. A failure is
 * one line on standard error.
 */
export async function runCli(argv: readonly string[]): Promise<number> {
  const running: Running = {
    name: 'shimd',
    usageStatus: exitStatus.usage,
    failedStatus: exitStatus.failed,
    daemon: undefined,
  };
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // Whoever reads our output may leave early, as `head` does; that is nothing to speak of.
    process.exit(error.code === 'EPIPE' ? exitStatus.ok : exitStatus.failed);
  });
  try {
    return await dispatch(canonical(argv), running);
  } catch (error) {
    return report(error, running);
  } finally {
    running.daemon?.close();
  }
}

/** `help X` is `X --help`, `--version` is `version`, nothing at all is a question for help. */
function canonical(argv: readonly string[]): readonly string[] {
  const [first, ...rest] = argv;
  if (first === undefined) return ['--help'];
  if (first === 'help') return rest[0] === undefined ? ['--help'] : [rest[0], '--help'];
  if (first === '--version' || first === '-V') return ['version', ...rest];
  return argv;
}

async function dispatch(argv: readonly string[], running: Running): Promise<number> {
  let status: number = exitStatus.ok;
  const program = new Program('shimd')
    .usage('[options] <command> [arguments]')
    .description('Runs container tasks through containerd shims, and never loses track of one.')
    .helpCommand(false)
    .enablePositionalOptions()
    .exitOverride()
    // Errors are thrown, and written by `report`.
    .configureOutput({ outputError: () => undefined })
    .addHelpText('after', globalHelp);
  addGlobalOptions(program, true);
  for (const { name, summary } of commands) program.command(name).summary(summary);
  // The binary starts the daemon without this program; here it is for the list.
  program
    .command('serve [arguments...]')
    .summary('run the daemon')
    .helpOption(false)
    .allowUnknownOption()
    .action((args: string[]) => {
      throw new UsageError(`serve has to come first, as in 'shimd serve ${args.join(' ')}'`);
    });
  program.hook('preSubcommand', async (_, subcommand) => {
    const entry = commands.find(({ name }) => name === subcommand.name());
    if (entry === undefined) return;
    running.name = `shimd ${entry.name}`;
    const command = await entry.load();
    running.usageStatus = command.failureStatus ?? exitStatus.usage;
    running.failedStatus = command.failureStatus ?? exitStatus.failed;
    configure(subcommand, command);
    subcommand.action(async () => {
      const context = contextFor(globalOptions(program, subcommand), running);
      const read = (option: string) => optionValue(subcommand, command, option);
      status = await command.invoke(context, subcommand.args, read);
    });
  });
  await program.parseAsync(argv, { from: 'user' });
  return status;
}

function contextFor(globals: GlobalOptions, running: Running): Context {
  const { SHIMD_ADDRESS, SHIMD_NAMESPACE } = process.env;
  const address = globals.address ?? (SHIMD_ADDRESS || defaultAddress());
  const namespace = parseNamespace(globals.namespace ?? (SHIMD_NAMESPACE || defaultNamespace));
  return {
    address,
    namespace,
    json: globals.json ?? false,
    async daemon() {
      if (running.daemon === undefined) {
        const { Daemon } = await import('./client/daemon.ts');
        running.daemon = new Daemon(address);
      }
      return running.daemon;
    },
    print: (text) => void process.stdout.write(text),
    warn: (message) => warn(running.name, message),
  };
}

/** Says why on one line, and answers the exit code. */
function report(error: unknown, running: Running): number {
  if (error instanceof CommanderError) {
    // Help that was asked for has been shown.
    if (error.exitCode === 0) return exitStatus.ok;
    if (error.code === 'commander.help') return running.usageStatus;
    return reportUsage(error.message.replace(/^error: /, ''), running);
  }
  if (error instanceof UsageError) return reportUsage(error.message, running);
  warn(running.name, oneLine(error));
  return error instanceof Failure ? error.status : running.failedStatus;
}

function reportUsage(message: string, running: Running): number {
  warn(running.name, `${oneLine(message)}; see '${running.name} --help'`);
  return running.usageStatus;
}

function warn(name: string, message: string): void {
  process.stderr.write(`${name}: ${oneLine(message)}\n`);
}
