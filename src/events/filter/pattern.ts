/** A test of values against a regular expression in RE2 syntax; one that cannot be compiled matches nothing. */
export function compilePattern(source: string): (value: string) => boolean {
  try {
    const expression = new RegExp(source, 'u');
    return (value) => expression.test(value);
  } catch {
    return () => false;
  }
}
