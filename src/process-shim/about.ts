import { readFileSync } from 'node:fs';

/** The runtime's name, as containers carry it. */
export const runtimeName = 'io.shimd.process.v1';
/** The program's name, as a daemon derives it from the runtime's. */
export const binaryName = 'containerd-shim-process-v1';

/** Said wherever the program speaks of itself. */
export const isolationNotice =
  'Runs processes directly on the host, with the rights of the user it runs as. It isolates nothing: no namespaces, no root filesystem, no seccomp.';

/** Annotation of the OCI spec that lets a spec through which asks for isolation, without giving any. */
export const ignoreIsolationAnnotation = 'io.shimd.process.ignore-isolation';

/** The package's version. */
export function version(): string {
  try {
    for (let at = new URL('.', import.meta.url); at.pathname !== '/'; at = new URL('..', at)) {
      const found = readPackage(new URL('package.json', at));
      if (found !== undefined) return found;
    }
  } catch {
    // A program that cannot read its own package still has to run.
  }
  return '0.0.0';
}

function readPackage(url: URL): string | undefined {
  let text: string;
  try {
    text = readFileSync(url, 'utf8');
  } catch {
    return undefined;
  }
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed !== 'object' || parsed === null || !('version' in parsed)) return undefined;
  return typeof parsed.version === 'string' ? parsed.version : undefined;
}
