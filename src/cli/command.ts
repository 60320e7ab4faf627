import type { Context } from './context.ts';
import type { OptionTable, OptionValues } from './option.ts';

/** A positional argument, as commander reads it: `<id>`, `<id...>`, `[command...]`. */
export interface ArgumentSpec {
  readonly name: string;
  readonly summary: string;
}

/** What a command is besides its function: everything that its help shows. */
export interface CommandPage {
  /** What it does and what a user has to know, in a paragraph or two. */
  readonly description: string;
  readonly arguments: readonly ArgumentSpec[];
  /** Command line and what it is for. */
  readonly examples: readonly (readonly [line: string, purpose: string])[];
  /** Exit codes; absent for those of every command. */
  readonly exitCodes?: readonly (readonly [code: string, meaning: string])[];
  /** Whether it prints data, so that `--json` means something. */
  readonly json: boolean;
  /** Whether everything after the first argument belongs to a program that is to be run. */
  readonly passThrough?: boolean;
  /** The exit code for a wrong command line and for failures of shimd's own; absent for the usual ones. */
  readonly failureStatus?: number;
}

/** A command with its options' types left out, for the program that drives them all. */
export interface Command extends CommandPage {
  readonly options: OptionTable;
  /** `read` gives an option's parsed value by its name in `options`. Resolves with the exit code. */
  invoke(context: Context, args: readonly string[], read: (option: string) => unknown): Promise<number>;
}

/** A command is data plus a function: this puts the two together. */
export function defineCommand<const Table extends OptionTable>(
  definition: CommandPage & {
    readonly options: Table;
    run(context: Context, options: OptionValues<Table>, args: readonly string[]): Promise<number>;
  },
): Command {
  return {
    ...definition,
    invoke(context, args, read) {
      const values = Object.fromEntries(
        Object.entries(definition.options).map(([name, spec]) => [name, read(name) ?? whenAbsent[spec.kind]]),
      );
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the table's own parsers made the values.
      return definition.run(context, values as OptionValues<Table>, args);
    },
  };
}

const whenAbsent = { flag: false, value: undefined, list: [] } as const;
