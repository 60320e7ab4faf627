import { type CharacterTest, escapedCharacter, escapedClass, foldCase, parseClass } from './pattern-class.ts';
import { PatternError, type PatternReader } from './pattern-reader.ts';

/** A regular expression as a tree. Which of several matches is found does not matter here, so greed and captures are gone. */
export type PatternNode =
  | { readonly kind: 'character'; readonly test: CharacterTest }
  | { readonly kind: 'assertion'; readonly at: Assertion }
  | { readonly kind: 'sequence'; readonly nodes: readonly PatternNode[] }
  | { readonly kind: 'choice'; readonly nodes: readonly PatternNode[] }
  | { readonly kind: 'repeat'; readonly node: PatternNode; readonly min: number; readonly max: number };

export type Assertion = 'text-begin' | 'text-end' | 'line-begin' | 'line-end' | 'word-boundary' | 'no-word-boundary';

interface Flags {
  readonly ignoreCase: boolean;
  readonly multiline: boolean;
  readonly dotAll: boolean;
}

/** RE2's own limits. */
const maxRepeat = 1000;
const maxDepth = 200;

const newline = 0x0a;

/*
 * RE2's syntax, which Go uses: no look-around and no back-references, so that matching takes linear time; `$` is the end of
 * the text unless (?m); \d, \w, \s and \b know ASCII only; flags i, m, s, U in (?flags) and (?flags:…); names (?P<n>…), (?<n>…).
 */
export function parsePattern(reader: PatternReader): PatternNode {
  const node = parseChoice(reader, { ignoreCase: false, multiline: false, dotAll: false }, 0);
  if (!reader.atEnd) throw new PatternError('unexpected )');
  return node;
}

function parseChoice(reader: PatternReader, initial: Flags, depth: number): PatternNode {
  if (depth > maxDepth) throw new PatternError('expression nests too deeply');
  // (?flags) without a colon changes the rest of the group it is in, over its bars as well.
  let flags = initial;
  const branches: PatternNode[] = [];
  let sequence: PatternNode[] = [];
  while (!reader.atEnd && reader.peek() !== ')') {
    if (reader.accept('|')) {
      branches.push({ kind: 'sequence', nodes: sequence });
      sequence = [];
    } else if (reader.accept('(?')) {
      const group = readGroupHead(reader, flags);
      if (group.body) sequence.push(parseRepeat(reader, parseGroup(reader, group.flags, depth)));
      else flags = group.flags;
    } else if (reader.accept('(')) {
      sequence.push(parseRepeat(reader, parseGroup(reader, flags, depth)));
    } else if (reader.accept('\\Q')) {
      for (const character of reader.takeUntil('\\E')) sequence.push(literal(character, flags));
    } else {
      sequence.push(parseRepeat(reader, parseAtom(reader, flags)));
    }
  }
  branches.push({ kind: 'sequence', nodes: sequence });
  return { kind: 'choice', nodes: branches };
}

function parseGroup(reader: PatternReader, flags: Flags, depth: number): PatternNode {
  const node = parseChoice(reader, flags, depth + 1);
  if (!reader.accept(')')) throw new PatternError('missing closing )');
  return node;
}

/** What follows `(?`: a name, or flags that end in `:` (a body follows) or `)`. */
function readGroupHead(reader: PatternReader, flags: Flags): { readonly flags: Flags; readonly body: boolean } {
  if (reader.accept('P<') || reader.accept('<')) {
    if (!/^[A-Za-z0-9_]+$/.test(reader.takeUntil('>'))) throw new PatternError('invalid named capture');
    return { flags, body: true };
  }
  let { ignoreCase, multiline, dotAll } = flags;
  let value = true;
  for (;;) {
    const flag = reader.take();
    switch (flag) {
      case 'i':
        ignoreCase = value;
        break;
      case 'm':
        multiline = value;
        break;
      case 's':
        dotAll = value;
        break;
      case 'U':
        break;
      case '-':
        if (!value) throw new PatternError('invalid flags');
        value = false;
        break;
      case ':':
      case ')':
        return { flags: { ignoreCase, multiline, dotAll }, body: flag === ':' };
      default:
        throw new PatternError(`invalid or unsupported group (?${flag}`);
    }
  }
}

function parseAtom(reader: PatternReader, flags: Flags): PatternNode {
  const character = reader.take();
  switch (character) {
    case '.':
      return { kind: 'character', test: flags.dotAll ? () => true : (code) => code !== newline };
    case '^':
      return { kind: 'assertion', at: flags.multiline ? 'line-begin' : 'text-begin' };
    case '$':
      return { kind: 'assertion', at: flags.multiline ? 'line-end' : 'text-end' };
    case '[':
      return { kind: 'character', test: parseClass(reader, flags.ignoreCase) };
    case '*':
    case '+':
    case '?':
      throw new PatternError(`missing argument to repetition operator: ${character}`);
    case '\\':
      return parseEscape(reader, flags);
    default:
      return literal(character, flags);
  }
}

function parseEscape(reader: PatternReader, flags: Flags): PatternNode {
  const assertions: Readonly<Record<string, Assertion>> = {
    A: 'text-begin',
    z: 'text-end',
    b: 'word-boundary',
    B: 'no-word-boundary',
  };
  const next = reader.peek();
  const at = Object.hasOwn(assertions, next) ? assertions[next] : undefined;
  if (at !== undefined) {
    reader.take();
    return { kind: 'assertion', at };
  }
  const test = escapedClass(reader);
  if (test !== undefined) return { kind: 'character', test: flags.ignoreCase ? foldCase(test) : test };
  return literal(escapedCharacter(reader), flags);
}

function literal(character: string, flags: Flags): PatternNode {
  const wanted = character.codePointAt(0);
  const test: CharacterTest = (code) => code === wanted;
  return { kind: 'character', test: flags.ignoreCase ? foldCase(test) : test };
}

function parseRepeat(reader: PatternReader, node: PatternNode): PatternNode {
  const range = readRepeat(reader);
  if (range === undefined) return node;
  reader.accept('?');
  if (readRepeat(reader) !== undefined) throw new PatternError('invalid nested repetition operator');
  return { kind: 'repeat', node, ...range };
}

function readRepeat(reader: PatternReader): { readonly min: number; readonly max: number } | undefined {
  if (reader.accept('*')) return { min: 0, max: Number.POSITIVE_INFINITY };
  if (reader.accept('+')) return { min: 1, max: Number.POSITIVE_INFINITY };
  if (reader.accept('?')) return { min: 0, max: 1 };
  const counted = reader.acceptMatch(/\{(\d+)(,?)(\d*)\}/y);
  // A brace that does not count is a character like any other.
  if (counted === undefined || (counted[2] === '' && counted[3] !== '')) return undefined;
  const min = Number(counted[1]);
  const max = counted[2] === '' ? min : counted[3] === '' ? Number.POSITIVE_INFINITY : Number(counted[3]);
  if (min > maxRepeat || (max !== Number.POSITIVE_INFINITY && max > maxRepeat) || min > max) {
    throw new PatternError('invalid repeat count');
  }
  return { min, max };
}
