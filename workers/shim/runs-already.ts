import { readBundleSpec } from './bundle.ts';
import { commandLine, runsProgram } from './host-process.ts';
import { readSpecFacts } from './spec-facts.ts';

/**
 * True where a task's program runs, whatever its shim calls it: a start that was cut off in its middle can leave a task
 * that the shim calls created. Starting it again would hang the shim, so such a one counts as running.
 */
export async function runsAlready(bundle: string, pid: number): Promise<boolean> {
  try {
    const spec = await readBundleSpec(bundle);
    return spec !== undefined && runsProgram(await commandLine(pid), readSpecFacts(spec).args);
  } catch {
    return false;
  }
}
