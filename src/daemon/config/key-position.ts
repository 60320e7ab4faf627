import { parse } from 'smol-toml';

/**
 * The line, from 1, at which the value of `key` begins in a TOML document that parses; undefined where it is not there.
 * Found with the parser itself, by the first lines that make a document with that key: no second reading of the syntax.
 */
export function lineOfKey(text: string, key: readonly PropertyKey[]): number | undefined {
  const lines = text.split('\n');
  // Lines up to which the document was whole: a value that begins after them may take several.
  let whole = 0;
  for (let count = 1; count <= lines.length; count++) {
    const document = parseFirst(lines, count);
    if (document === undefined) continue;
    if (has(document, key)) return whole + 1;
    whole = count;
  }
  return undefined;
}

function parseFirst(lines: readonly string[], count: number): unknown {
  try {
    return parse(lines.slice(0, count).join('\n'));
  } catch {
    return undefined;
  }
}

function has(document: unknown, key: readonly PropertyKey[]): boolean {
  let value = document;
  for (const name of key) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return false;
    value = Reflect.get(value, name);
  }
  return true;
}
