/** A quoted literal that Go would not take. */
export class UnquoteError extends Error {}

const simpleEscapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
};

/** Forms of an escape by number, from the character after the backslash on. */
const byteEscape = /^(?:x([0-9a-fA-F]{2})|([0-7]{3}))/;
const codePointEscape = /^(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/;

/** The text of a literal in Go's string syntax, given without its quotes. Throws UnquoteError. */
export function unquote(literal: string, quote: string): string {
  if (!literal.includes('\\')) return literal;
  // Escapes can make bytes that form a character only together.
  const parts: Buffer[] = [];
  let rest = literal;
  while (rest !== '') {
    const backslash = rest.indexOf('\\');
    const plain = backslash === -1 ? rest : rest.slice(0, backslash);
    parts.push(Buffer.from(plain));
    if (backslash === -1) break;
    const escape = readEscape(rest.slice(backslash + 1), quote);
    parts.push(escape.bytes);
    rest = rest.slice(backslash + 1 + escape.length);
  }
  return Buffer.concat(parts).toString();
}

function readEscape(text: string, quote: string): { readonly bytes: Buffer; readonly length: number } {
  const first = text.charAt(0);
  const simple = first === quote ? quote : Object.hasOwn(simpleEscapes, first) ? simpleEscapes[first] : undefined;
  if (simple !== undefined) return { bytes: Buffer.from(simple), length: 1 };

  const byte = byteEscape.exec(text);
  if (byte !== null) {
    const value = byte[1] === undefined ? Number.parseInt(byte[2] ?? '', 8) : Number.parseInt(byte[1], 16);
    if (value > 0xff) throw new UnquoteError('unquoting failed: quote syntax error');
    return { bytes: Buffer.from([value]), length: byte[0].length };
  }
  const codePoint = codePointEscape.exec(text);
  if (codePoint !== null) {
    const value = Number.parseInt(codePoint[1] ?? codePoint[2] ?? '', 16);
    if (value > 0x10_ffff) throw new UnquoteError('unquoting failed: quote syntax error');
    return { bytes: Buffer.from(String.fromCodePoint(value)), length: codePoint[0].length };
  }
  throw new UnquoteError(/^[xuU0-7]/.test(first) ? 'illegal numeric escape sequence' : 'illegal escape sequence');
}
