const control = /[\p{Cc}\u2028\u2029]/gu;

/** `text` with control characters shown as escapes, so that what a container chose cannot drive the terminal. */
export function printable(text: string): string {
  return text.replaceAll(control, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** A line of text like `printable`, with its tabs: stack traces have them. */
export function printableLine(line: string): string {
  return line.split('\t').map(printable).join('\t');
}
