import { invalidArgument } from '../../shared/errors/index.ts';
import type { Filter } from './filter.ts';
import { compilePattern } from './pattern.ts';
import { UnquoteError, unquote } from './quote.ts';

/*
 * containerd's filter language. Several filters are alternatives: an object passes when one of them matches.
 *
 *     filter    = selector { "," selector }            every selector has to match
 *     selector  = fieldpath [ operator value ]         without an operator: the field is present
 *     fieldpath = field { "." field }
 *     field     = name | `"…"`                         name: letters of ASCII, digits, "_"
 *     operator  = "==" | "!=" | "~="
 *     value     = word | `"…"` | with "~=" also `/…/` and `|…|`
 *     word      = everything up to a comma or white space, not beginning with a quote, ".", "=", "!" or "~"
 *
 * White space may stand before a field, an operator and a value, not after a value. Inside quotes: Go's escapes
 * (\n, \\, \x41, \101, \u00e9, \U0001f600) and the quote itself, escaped; no other escape, so a
 * pattern's \d is written \\d. `!=` holds for an absent field too. `~=` finds a regular expression anywhere
 * in the value; one that cannot be compiled matches nothing.
 */

/** Longest filter, in UTF-16 units: labels are at most 4096 bytes together. */
const maxFilterLength = 16 * 1024;

/** Most filters at once. */
const maxFilters = 1024;

const always: Filter = { match: () => true };

/**
 * Parses filters of which one has to match. None, or an empty string among them, matches everything.
 * Throws INVALID_ARGUMENT, `filters: parse error: [before >|here|< after]: …`.
 */
export function parseFilters(filters: readonly string[]): Filter {
  if (filters.length === 0) return always;
  if (filters.length > maxFilters) {
    throw invalidArgument(`filters: ${filters.length} filters are more than ${maxFilters}: invalid argument`);
  }
  const parsed = filters.map((filter) => parseFilter(filter));
  const [only] = parsed;
  if (only !== undefined && parsed.length === 1) return only;
  return { match: (adaptor) => parsed.some((filter) => filter.match(adaptor)) };
}

function parseFilter(input: string): Filter {
  if (input === '') return always;
  if (input.length > maxFilterLength) {
    throw invalidArgument(
      `filters: a filter of ${input.length} characters is longer than ${maxFilterLength}: invalid argument`,
    );
  }
  return new Parser(input).filter();
}

const nameCharacter = /[A-Za-z0-9_]/;
const space = /\p{White_Space}/u;
const operatorCharacter = /[=!~]/;
const quoteCharacter = /["/|]/;
const wordCharacter = /[\p{L}\p{M}\p{N}\p{P}\p{S}]/u;

class Parser {
  readonly #input: string;
  /** The input by code points: positions and errors never cut one in half. */
  readonly #characters: readonly string[];
  #at = 0;

  constructor(input: string) {
    this.#input = input;
    this.#characters = Array.from(input);
  }

  filter(): Filter {
    const selectors = [this.#selector()];
    while (this.#at < this.#characters.length) {
      if (this.#peek() !== ',') throw this.#error(this.#at, `unexpected input: ${this.#peek()}`);
      this.#at += 1;
      selectors.push(this.#selector());
    }
    return { match: (adaptor) => selectors.every((selector) => selector.match(adaptor)) };
  }

  #selector(): Filter {
    const fieldpath = this.#fieldpath();
    const next = this.#peek();
    if (next === '' || next === ',') return { match: (adaptor) => adaptor(fieldpath).present };
    const operator = this.#operator();
    if (operator === '~=') {
      const matches = compilePattern(this.#value(true));
      return { match: (adaptor) => matches(adaptor(fieldpath).value) };
    }
    const expected = this.#value(false);
    if (operator === '!=') return { match: (adaptor) => adaptor(fieldpath).value !== expected };
    return {
      match: (adaptor) => {
        const { value, present } = adaptor(fieldpath);
        return present && value === expected;
      },
    };
  }

  #fieldpath(): readonly string[] {
    const fields = [this.#field()];
    while (this.#peek() === '.') {
      this.#at += 1;
      fields.push(this.#field());
    }
    return fields;
  }

  #field(): string {
    this.#skipSpace();
    if (quoteCharacter.test(this.#peek())) return this.#quoted(false);
    const name = this.#take(nameCharacter);
    if (name === '') throw this.#error(this.#at, 'expected field or quoted');
    return name;
  }

  #operator(): '==' | '!=' | '~=' {
    this.#skipSpace();
    const at = this.#at;
    const operator = this.#take(operatorCharacter);
    switch (operator) {
      case '==':
      case '!=':
      case '~=':
        return operator;
      case '':
        throw this.#error(at, 'expected an operator ("=="|"!="|"~=")');
      default:
        throw this.#error(at, `unsupported operator ${JSON.stringify(operator)}`);
    }
  }

  #value(isPattern: boolean): string {
    this.#skipSpace();
    const next = this.#peek();
    if (quoteCharacter.test(next)) return this.#quoted(isPattern);
    const word = next === '.' || operatorCharacter.test(next) ? '' : this.#take(wordCharacter, ',');
    if (word === '') throw this.#error(this.#at, 'expected value or quoted');
    return word;
  }

  #quoted(isPattern: boolean): string {
    const from = this.#at;
    const quote = this.#peek();
    this.#at += 1;
    while (this.#peek() !== quote) {
      const next = this.#peek();
      if (next === '' || next === '\n' || next === '\0') throw this.#error(from, 'quoted literal not terminated');
      this.#at += next === '\\' ? 2 : 1;
    }
    const literal = this.#characters.slice(from + 1, this.#at).join('');
    this.#at += 1;
    if (quote !== '"' && !isPattern) throw this.#error(from, 'invalid quote encountered');
    try {
      return unquote(literal, quote);
    } catch (error) {
      if (!(error instanceof UnquoteError)) throw error;
      throw this.#error(from, error.message);
    }
  }

  /** The next character, or the empty string at the end. */
  #peek(): string {
    return this.#characters[this.#at] ?? '';
  }

  #take(wanted: RegExp, except?: string): string {
    const from = this.#at;
    while (this.#peek() !== except && wanted.test(this.#peek())) this.#at += 1;
    return this.#characters.slice(from, this.#at).join('');
  }

  #skipSpace(): void {
    this.#take(space);
  }

  #error(at: number, message: string): Error {
    const here = this.#characters[at];
    const before = this.#characters.slice(0, at).join('');
    const after = this.#characters.slice(at + 1).join('');
    const shown = here === undefined ? this.#input : `${before} >|${here}|< ${after}`;
    return invalidArgument(`filters: parse error: [${shown}]: ${message}: invalid argument`);
  }
}
