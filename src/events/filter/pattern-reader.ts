/** A regular expression that RE2 would not compile. */
export class PatternError extends Error {}

/** Reads a regular expression from left to right, by code points. */
export class PatternReader {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  get atEnd(): boolean {
    return this.#at >= this.#source.length;
  }

  /** The next character, or the empty string at the end. */
  peek(): string {
    const code = this.#source.codePointAt(this.#at);
    return code === undefined ? '' : String.fromCodePoint(code);
  }

  take(): string {
    const character = this.peek();
    if (character === '') throw new PatternError('unexpected end of the expression');
    this.#at += character.length;
    return character;
  }

  accept(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  /** Takes what a sticky expression matches here. */
  acceptMatch(sticky: RegExp): RegExpExecArray | undefined {
    sticky.lastIndex = this.#at;
    const match = sticky.exec(this.#source);
    if (match === null) return undefined;
    this.#at += match[0].length;
    return match;
  }

  /** Takes everything up to `end`, and `end`; all of the rest where it is missing. */
  takeUntil(end: string): string {
    const found = this.#source.indexOf(end, this.#at);
    const text = this.#source.slice(this.#at, found === -1 ? undefined : found);
    this.#at = found === -1 ? this.#source.length : found + end.length;
    return text;
  }
}
