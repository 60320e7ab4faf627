import { alreadyExists, notFound } from '../../shared/errors/index.ts';
import type { Namespace, SandboxId, SandboxRef } from '../../shared/identifiers.ts';
import type { Sandbox } from './sandbox.ts';

/** An id taken by a create under way; one of the two ends it. */
export interface SandboxReservation {
  commit(sandbox: Sandbox): void;
  /** Frees the id. Nothing after `commit`. */
  release(): void;
}

type Entry = { readonly kind: 'reserved' } | { readonly kind: 'sandbox'; readonly sandbox: Sandbox };

const keyOf = ({ namespace, sandbox }: SandboxRef): string => `${namespace}/${sandbox}`;

/** The sandboxes of the host, by namespace and id. */
export class Sandboxes {
  readonly #entries = new Map<string, Entry>();

  /** Throws ALREADY_EXISTS where the id has a sandbox, ended ones included, or a create under way. */
  reserve(ref: SandboxRef): SandboxReservation {
    const key = keyOf(ref);
    if (this.#entries.has(key)) throw alreadyExists(`sandbox ${ref.sandbox}: already exists`);
    const entry: Entry = { kind: 'reserved' };
    this.#entries.set(key, entry);
    return {
      commit: (sandbox) => {
        if (this.#entries.get(key) === entry) this.#entries.set(key, { kind: 'sandbox', sandbox });
      },
      release: () => {
        if (this.#entries.get(key) === entry) this.#entries.delete(key);
      },
    };
  }

  /** True where the id is taken, also by a create under way. */
  has(ref: SandboxRef): boolean {
    return this.#entries.has(keyOf(ref));
  }

  find(ref: { readonly namespace: Namespace; readonly sandbox: SandboxId }): Sandbox | undefined {
    const entry = this.#entries.get(keyOf(ref));
    return entry?.kind === 'sandbox' ? entry.sandbox : undefined;
  }

  /** Throws NOT_FOUND. */
  get(ref: SandboxRef): Sandbox {
    const sandbox = this.find(ref);
    if (sandbox === undefined) throw notFound(`sandbox ${ref.sandbox} not found: not found`);
    return sandbox;
  }

  remove(sandbox: Sandbox): void {
    if (this.find(sandbox.ref) === sandbox) this.#entries.delete(keyOf(sandbox.ref));
  }

  *[Symbol.iterator](): Generator<Sandbox> {
    for (const entry of this.#entries.values()) if (entry.kind === 'sandbox') yield entry.sandbox;
  }
}
