export type Colour = 'red' | 'green' | 'yellow' | 'dim';

const codes: Readonly<Record<Colour, number>> = { red: 31, green: 32, yellow: 33, dim: 2 };

/** Paints text for a terminal, or leaves it alone. */
export type Paint = (colour: Colour, text: string) => string;

/** Paints only where `stream` is a terminal that wants colours: `NO_COLOR` set to anything, or `TERM=dumb`, means none. */
export function painter(
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>> = process.env,
): Paint {
  const wanted = stream.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
  return wanted ? (colour, text) => `\u001B[${codes[colour]}m${text}\u001B[0m` : (_, text) => text;
}
