import { Option, type Command as Program } from 'commander';
import { defaultAddress, defaultNamespace } from '../shared/defaults.ts';
import { unreachable } from '../shared/util/unreachable.ts';
import type { Command } from './command.ts';
import { UsageError } from './failure.ts';
import { commandHelp } from './help.ts';
import type { OptionSpec } from './option.ts';

/** What the global options say. They are taken before and after a command's name; the later one counts. */
export interface GlobalOptions {
  readonly address?: string;
  readonly namespace?: string;
  readonly json?: boolean;
}

export function addGlobalOptions(program: Program, json: boolean): void {
  program
    .optionsGroup('Global options:')
    .option('--address <socket>', `socket of the daemon (default: ${defaultAddress()}, env: SHIMD_ADDRESS)`)
    .option('-n, --namespace <name>', `containerd namespace (default: ${defaultNamespace}, env: SHIMD_NAMESPACE)`);
  const machine = new Option('--json', 'print data as JSON');
  program.addOption(json ? machine : machine.hideHelp());
  program.helpOption('-h, --help', 'show this help');
}

/** Makes commander know a command's arguments, options and help. */
export function configure(program: Program, command: Command): void {
  program.description(command.description).addHelpText('after', commandHelp(command));
  for (const argument of command.arguments) program.argument(argument.name, argument.summary);
  program.optionsGroup('Options:');
  for (const spec of Object.values(command.options)) program.addOption(commanderOption(spec));
  addGlobalOptions(program, command.json);
  if (command.passThrough) program.passThroughOptions();
}

/** The parsed value of an option of `command`, undefined where it was not given. */
export function optionValue(program: Program, command: Command, name: string): unknown {
  const spec = command.options[name];
  if (spec === undefined) return undefined;
  const option = commanderOption(spec);
  const value: unknown = program.opts()[option.attributeName()];
  // commander makes `--no-x` a switch `x` that is on until it is given.
  return option.negate ? value === false : value;
}

export function globalOptions(...programs: Program[]): GlobalOptions {
  const found: { address?: string; namespace?: string; json?: boolean } = {};
  for (const program of programs) {
    const { address, namespace, json }: Record<string, unknown> = program.opts();
    if (typeof address === 'string') found.address = address;
    if (typeof namespace === 'string') found.namespace = namespace;
    if (json === true) found.json = true;
  }
  return found;
}

function commanderOption(spec: OptionSpec): Option {
  switch (spec.kind) {
    case 'flag':
      return new Option(spec.flags, spec.summary).hideHelp(spec.hidden);
    case 'value': {
      const notes = spec.shownDefault === undefined ? '' : ` (default: ${spec.shownDefault})`;
      return new Option(spec.flags, spec.summary + notes).argParser((text) => parsed(spec, text));
    }
    case 'list':
      return new Option(spec.flags, `${spec.summary} (repeatable)`).argParser((text, before: unknown) => [
        ...(Array.isArray(before) ? before : []),
        parsed(spec, text),
      ]);
    default:
      return unreachable(spec);
  }
}

function parsed(spec: { readonly flags: string; parse(text: string): unknown }, text: string): unknown {
  try {
    return spec.parse(text);
  } catch (error) {
    const [name] = /--[a-z-]+/.exec(spec.flags) ?? [spec.flags];
    throw new UsageError(`${name} '${text}': ${error instanceof Error ? error.message : String(error)}`);
  }
}
