import { createRequire } from 'node:module';
import type { RE2JS } from 're2js';

const load = createRequire(import.meta.url);
let engine: typeof RE2JS | undefined;

/**
 * A test of values against a regular expression in RE2's syntax, containerd's; one that cannot be compiled matches nothing.
 * Filters come from clients, and JavaScript's own expressions go back and forth: (a+)+$ takes for ever on thirty letters.
 */
export function compilePattern(source: string): (value: string) => boolean {
  // Few filters have a pattern: the engine is loaded with the first one that does.
  engine ??= loadEngine();
  try {
    const expression = engine.compile(source);
    return (value) => expression.matcher(value).find();
  } catch {
    return () => false;
  }
}

function loadEngine(): typeof RE2JS {
  const module: { readonly RE2JS: typeof RE2JS } = load('re2js');
  return module.RE2JS;
}
