/** A switch: given or not. */
export interface FlagOption {
  readonly kind: 'flag';
  /** As commander reads them: `-t, --tty`. */
  readonly flags: string;
  readonly summary: string;
  /** Accepted, but not listed in the help. */
  readonly hidden?: boolean;
}

/** An option with one value; the last one given counts. */
export interface ValueOption<T> {
  readonly kind: 'value';
  /** As commander reads them: `--cwd <directory>`. */
  readonly flags: string;
  readonly summary: string;
  /** Throws an error whose message says what is wrong with the text. */
  readonly parse: (text: string) => T;
  /** The default, as the help shows it. */
  readonly shownDefault?: string;
  /** The variable that stands in for the option, as the help shows it. */
  readonly shownVariable?: string;
}

/** An option that can be given several times. */
export interface ListOption<T> {
  readonly kind: 'list';
  readonly flags: string;
  readonly summary: string;
  readonly parse: (text: string) => T;
}

export type OptionSpec = FlagOption | ValueOption<unknown> | ListOption<unknown>;
export type OptionTable = Readonly<Record<string, OptionSpec>>;

/** What a command finds of its options. */
export type OptionValues<Table extends OptionTable> = {
  readonly [Name in keyof Table]: Table[Name] extends FlagOption
    ? boolean
    : Table[Name] extends ListOption<infer T>
      ? readonly T[]
      : Table[Name] extends ValueOption<infer T>
        ? T | undefined
        : never;
};

export function flag(flags: string, summary: string, hidden = false): FlagOption {
  return { kind: 'flag', flags, summary, hidden };
}

export function value<T>(
  flags: string,
  summary: string,
  parse: (text: string) => T,
  shown: { default?: string; variable?: string } = {},
): ValueOption<T> {
  return {
    kind: 'value',
    flags,
    summary,
    parse,
    ...(shown.default === undefined ? {} : { shownDefault: shown.default }),
    ...(shown.variable === undefined ? {} : { shownVariable: shown.variable }),
  };
}

export function list<T>(flags: string, summary: string, parse: (text: string) => T): ListOption<T> {
  return { kind: 'list', flags, summary, parse };
}
