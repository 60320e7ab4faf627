import { PatternError, type PatternReader } from './pattern-reader.ts';

/** Whether a code point belongs. */
export type CharacterTest = (code: number) => boolean;

const isDigit = matching(/[0-9]/);
const isSpace = matching(/[\t\n\f\r ]/);
export const isWordCharacter = matching(/[0-9A-Za-z_]/);

const posixClasses: Readonly<Record<string, CharacterTest>> = {
  alnum: matching(/[0-9A-Za-z]/),
  alpha: matching(/[A-Za-z]/),
  ascii: (code) => code <= 0x7f,
  blank: matching(/[\t ]/),
  cntrl: (code) => code <= 0x1f || code === 0x7f,
  digit: isDigit,
  graph: (code) => code >= 0x21 && code <= 0x7e,
  lower: matching(/[a-z]/),
  print: (code) => code >= 0x20 && code <= 0x7e,
  punct: matching(/[!-/:-@[-`{-~]/),
  space: matching(/[\t\n\v\f\r ]/),
  upper: matching(/[A-Z]/),
  word: isWordCharacter,
  xdigit: matching(/[0-9A-Fa-f]/),
};

const perlClasses: Readonly<Record<string, CharacterTest>> = {
  d: isDigit,
  D: not(isDigit),
  s: isSpace,
  S: not(isSpace),
  w: isWordCharacter,
  W: not(isWordCharacter),
};

const controlEscapes: Readonly<Record<string, string>> = {
  a: '\x07',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

function matching(expression: RegExp): CharacterTest {
  return (code) => expression.test(String.fromCodePoint(code));
}

function not(test: CharacterTest): CharacterTest {
  return (code) => !test(code);
}

/** The same without regard to case. */
export function foldCase(test: CharacterTest): CharacterTest {
  return (code) => {
    if (test(code)) return true;
    const character = String.fromCodePoint(code);
    return test(firstCode(character.toLowerCase())) || test(firstCode(character.toUpperCase()));
  };
}

function firstCode(text: string): number {
  return text.codePointAt(0) ?? 0;
}

/** A class that a backslash introduces (\d, \pL, \p{Greek}), the backslash taken; undefined where it is none. */
export function escapedClass(reader: PatternReader): CharacterTest | undefined {
  const next = reader.peek();
  if (Object.hasOwn(perlClasses, next)) return perlClasses[reader.take()];
  if (next !== 'p' && next !== 'P') return undefined;
  const negated = reader.take() === 'P';
  const head = reader.take();
  const name = head === '{' ? reader.takeUntil('}') : head;
  const inverse = name.startsWith('^');
  const test = unicodeClass(inverse ? name.slice(1) : name);
  return negated === inverse ? test : not(test);
}

/** A general category (`L`, `Lu`) or a script (`Greek`). */
function unicodeClass(name: string): CharacterTest {
  if (!/^[A-Za-z_]+$/.test(name)) throw new PatternError(`invalid character class \\p{${name}}`);
  if (name === 'Any') return () => true;
  for (const property of [`General_Category=${name}`, `Script=${name}`]) {
    try {
      return matching(new RegExp(`\\p{${property}}`, 'u'));
    } catch {
      // Not that kind of property.
    }
  }
  throw new PatternError(`invalid character class \\p{${name}}`);
}

/** One character that a backslash introduces, the backslash taken. Letters and digits without a meaning are errors. */
export function escapedCharacter(reader: PatternReader): string {
  const number = reader.acceptMatch(/x\{([0-9a-fA-F]{1,8})\}|x([0-9a-fA-F]{2})|(0[0-7]{0,2}|[1-7][0-7]{1,2})/y);
  if (number !== undefined) {
    const hexadecimal = number[1] ?? number[2];
    const code = hexadecimal === undefined ? Number.parseInt(number[3] ?? '', 8) : Number.parseInt(hexadecimal, 16);
    if (code > 0x10_ffff) throw new PatternError('invalid escape sequence');
    return String.fromCodePoint(code);
  }
  const character = reader.take();
  const control = Object.hasOwn(controlEscapes, character) ? controlEscapes[character] : undefined;
  if (control !== undefined) return control;
  if (firstCode(character) > 0x7f || isWordCharacter(firstCode(character))) {
    if (character !== '_') throw new PatternError(`invalid escape sequence \\${character}`);
  }
  return character;
}

/** A class in brackets, the first bracket taken. */
export function parseClass(reader: PatternReader, ignoreCase: boolean): CharacterTest {
  const negated = reader.accept('^');
  const tests: CharacterTest[] = [];
  // A bracket that comes first is a member.
  let first = true;
  while (first || reader.peek() !== ']') {
    if (reader.atEnd) throw new PatternError('missing closing ]');
    tests.push(parseMember(reader));
    first = false;
  }
  reader.take();
  const any: CharacterTest = (code) => tests.some((test) => test(code));
  const folded = ignoreCase ? foldCase(any) : any;
  return negated ? not(folded) : folded;
}

function parseMember(reader: PatternReader): CharacterTest {
  const posix = reader.acceptMatch(/\[:(\^?)([^:\]]*):\]/y);
  if (posix !== undefined) {
    const name = posix[2] ?? '';
    const test = Object.hasOwn(posixClasses, name) ? posixClasses[name] : undefined;
    if (test === undefined) throw new PatternError(`invalid character class range [:${name}:]`);
    return posix[1] === '^' ? not(test) : test;
  }
  if (reader.accept('\\')) {
    const test = escapedClass(reader);
    if (test !== undefined) return test;
    return parseRange(reader, escapedCharacter(reader));
  }
  return parseRange(reader, reader.take());
}

/** `from`, or `from-to` where a hyphen follows that is not the class's last character. */
function parseRange(reader: PatternReader, from: string): CharacterTest {
  const low = firstCode(from);
  if (reader.acceptMatch(/-(?!\])/y) === undefined) return (code) => code === low;
  const high = firstCode(reader.accept('\\') ? escapedCharacter(reader) : reader.take());
  if (high < low) throw new PatternError('invalid character class range');
  return (code) => code >= low && code <= high;
}
