import { defaultAddress, defaultNamespace } from '../shared/defaults.ts';
import type { Command } from './command.ts';
import { runExitCodes, usualExitCodes } from './exit-status.ts';

type Lines = readonly (readonly [left: string, right: string])[];

/** What the list of commands ends with. */
export function globalHelp(): string {
  const status = section('Exit status', usualExitCodes) + section('Exit status of run and exec', runExitCodes);
  return `${status}${variables()}\n'shimd help <command>' tells more of one.\n`;
}

/** What the help of one command ends with. */
export function commandHelp(command: Command): string {
  const examples = command.examples.map(([line, purpose]) => `  ${line}\n      ${purpose}\n`).join('');
  return `\nExamples:\n${examples}${section('Exit status', command.exitCodes ?? usualExitCodes)}`;
}

function variables(): string {
  return section('Environment', [
    ['SHIMD_ADDRESS', `socket of the daemon, as --address; otherwise ${defaultAddress()}`],
    ['SHIMD_NAMESPACE', `namespace, as --namespace; otherwise ${defaultNamespace}`],
    ['NO_COLOR', 'set to anything: no colours'],
  ]);
}

function section(title: string, lines: Lines): string {
  const width = Math.max(...lines.map(([left]) => left.length));
  return `\n${title}:\n${lines.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join('')}`;
}
