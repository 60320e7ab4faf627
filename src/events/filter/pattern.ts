import { unreachable } from '../../shared/util/unreachable.ts';
import { type CharacterTest, isWordCharacter } from './pattern-class.ts';
import { PatternError, PatternReader } from './pattern-reader.ts';
import { type Assertion, type PatternNode, parsePattern } from './pattern-syntax.ts';

/*
 * Filters come from clients, and JavaScript's expressions go back and forth: (a+)+$ takes for ever on thirty letters. So
 * patterns are compiled here to a program whose threads walk through the value side by side, in time proportional
 * to the lengths of the value and the program, as RE2 does.
 */
type Instruction =
  | { readonly op: 'character'; readonly test: CharacterTest }
  | { readonly op: 'assertion'; readonly at: Assertion }
  /** Goes on at both places, relative to this one. */
  | { readonly op: 'split'; readonly first: number; readonly second: number }
  | { readonly op: 'jump'; readonly to: number }
  | { readonly op: 'match' };

/** Repeats are written out: this bounds what a short pattern can grow to. */
const maxInstructions = 4096;

/** A test of values against a regular expression in RE2's syntax; one that cannot be compiled matches nothing. */
export function compilePattern(source: string): (value: string) => boolean {
  try {
    const program: readonly Instruction[] = [
      ...compile(parsePattern(new PatternReader(source)), { left: maxInstructions }),
      { op: 'match' },
    ];
    return (value) => run(program, value);
  } catch (error) {
    if (error instanceof PatternError) return () => false;
    throw error;
  }
}

function compile(node: PatternNode, budget: { left: number }): Instruction[] {
  budget.left -= 1;
  if (budget.left < 0) throw new PatternError('expression too large');
  switch (node.kind) {
    case 'character':
      return [{ op: 'character', test: node.test }];
    case 'assertion':
      return [{ op: 'assertion', at: node.at }];
    case 'sequence':
      return node.nodes.flatMap((part) => compile(part, budget));
    case 'choice':
      return node.nodes
        .map((branch) => compile(branch, budget))
        .reduceRight((rest, branch) => [
          { op: 'split', first: 1, second: branch.length + 2 },
          ...branch,
          { op: 'jump', to: rest.length + 1 },
          ...rest,
        ]);
    case 'repeat':
      return compileRepeat(node, budget);
    default:
      return unreachable(node);
  }
}

function compileRepeat(node: PatternNode & { kind: 'repeat' }, budget: { left: number }): Instruction[] {
  const code: Instruction[] = [];
  for (let count = 0; count < node.min; count += 1) code.push(...compile(node.node, budget));
  if (node.max === Number.POSITIVE_INFINITY) {
    const body = compile(node.node, budget);
    return [
      ...code,
      { op: 'split', first: 1, second: body.length + 2 },
      ...body,
      { op: 'jump', to: -(body.length + 1) },
    ];
  }
  for (let count = node.min; count < node.max; count += 1) {
    const body = compile(node.node, budget);
    code.push({ op: 'split', first: 1, second: body.length + 1 }, ...body);
  }
  return code;
}

function run(program: readonly Instruction[], value: string): boolean {
  /** The position + 1 at which an instruction was last reached: each is walked through once a position. */
  const reachedAt = new Uint32Array(program.length);
  let waiting: number[] = [];
  let at = 0;
  let previous: number | undefined;
  for (;;) {
    const next = value.codePointAt(at);
    // A match may begin anywhere.
    const starts = [...waiting, 0];
    const reached = walk(program, starts, reachedAt, at + 1, previous, next);
    if (reached === 'match') return true;
    if (next === undefined) return false;
    waiting = [];
    for (const index of reached) {
      const instruction = program[index];
      if (instruction?.op === 'character' && instruction.test(next)) waiting.push(index + 1);
    }
    previous = next;
    at += next > 0xffff ? 2 : 1;
  }
}

/** Follows everything that takes no character; answers the instructions that wait for one. */
function walk(
  program: readonly Instruction[],
  stack: number[],
  reachedAt: Uint32Array,
  stamp: number,
  previous: number | undefined,
  next: number | undefined,
): number[] | 'match' {
  const waiting: number[] = [];
  for (let index = stack.pop(); index !== undefined; index = stack.pop()) {
    const instruction = program[index];
    if (instruction === undefined || reachedAt[index] === stamp) continue;
    reachedAt[index] = stamp;
    switch (instruction.op) {
      case 'match':
        return 'match';
      case 'character':
        waiting.push(index);
        break;
      case 'assertion':
        if (holds(instruction.at, previous, next)) stack.push(index + 1);
        break;
      case 'jump':
        stack.push(index + instruction.to);
        break;
      case 'split':
        stack.push(index + instruction.first, index + instruction.second);
        break;
    }
  }
  return waiting;
}

const newline = 0x0a;

/** An absent character is the text's edge. */
function holds(assertion: Assertion, previous: number | undefined, next: number | undefined): boolean {
  switch (assertion) {
    case 'text-begin':
      return previous === undefined;
    case 'text-end':
      return next === undefined;
    case 'line-begin':
      return previous === undefined || previous === newline;
    case 'line-end':
      return next === undefined || next === newline;
    case 'word-boundary':
      return isWord(previous) !== isWord(next);
    case 'no-word-boundary':
      return isWord(previous) === isWord(next);
    default:
      return unreachable(assertion);
  }
}

function isWord(code: number | undefined): boolean {
  return code !== undefined && isWordCharacter(code);
}
