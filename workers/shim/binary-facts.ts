import { statSync } from 'node:fs';
import path from 'node:path';
import { TaskError } from '../../src/shared/errors/index.ts';
import type { BinaryFacts, StartForm } from '../../src/shared/messages/index.ts';

/** Binaries whose version is containerd's, and so tells which form their `start` action reads. */
const versionedByContainerd = /^containerd-shim-runc-v\d+$/;

/** Reads what `-v` printed. Pure. */
export function factsOf(binary: string, printed: string): BinaryFacts {
  const match = /version:?\s+v?(\d+)\.(\d+)\.(\d+)/i.exec(printed);
  if (match === null) return { binary, startForm: 'unknown' };
  const [, major = '0', minor = '0', patch = '0'] = match;
  const version = `${major}.${minor}.${patch}`;
  if (!versionedByContainerd.test(path.basename(binary))) return { binary, version, startForm: 'unknown' };
  const newer = Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 3);
  return { binary, version, startForm: newer ? 'bootstrap-params' : 'options-any' };
}

interface Known {
  readonly modified: number;
  facts: Promise<BinaryFacts>;
}

/** What is known of each binary, asked once per path and modification time. */
export class BinaryFactsCache {
  readonly #known = new Map<string, Known>();
  readonly #probe: (binary: string) => Promise<string>;

  /** `probe` runs the binary with `-v` and answers what it printed. */
  constructor(probe: (binary: string) => Promise<string>) {
    this.#probe = probe;
  }

  /** Throws UNKNOWN (`not installed`) where there is no such binary, and whatever running it throws. */
  async get(binary: string): Promise<BinaryFacts> {
    const modified = this.#modified(binary);
    const known = this.#known.get(binary);
    if (known?.modified === modified) return known.facts;
    const facts = this.#probe(binary).then((printed) => factsOf(binary, printed));
    const entry = { modified, facts };
    this.#known.set(binary, entry);
    // A failed probe is not kept: the next one may find more.
    facts.catch(() => {
      if (this.#known.get(binary) === entry) this.#known.delete(binary);
    });
    return facts;
  }

  /** Keeps which form worked for a binary that did not tell. */
  async learn(binary: string, startForm: StartForm): Promise<void> {
    const facts = await this.get(binary);
    const known = this.#known.get(binary);
    if (known !== undefined) known.facts = Promise.resolve({ ...facts, startForm });
  }

  #modified(binary: string): number {
    try {
      return statSync(binary).mtimeMs;
    } catch (cause) {
      // Docker reads "no such file" and "not found" in any message as something else.
      throw new TaskError('UNKNOWN', `the shim ${binary} is not installed: install it or name another runtime`, {
        cause,
      });
    }
  }
}
