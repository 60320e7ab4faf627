import type { Shim } from './shim.ts';

/** A shim that is being started, and how many creates wait for it. */
export interface ShimStart {
  readonly promise: Promise<Shim>;
  claims: number;
}

/** The shims of one sharing key. */
export interface SharingGroup {
  readonly name: string;
  readonly shims: Set<Shim>;
  /** Starts under way. */
  readonly starting: Set<ShimStart>;
}

/**
 * The shims by what their tasks have in common. A group lasts as long as it has a shim: namespaces come and go, and what
 * is kept must not grow with them.
 */
export class SharingGroups {
  readonly #groups = new Map<string, SharingGroup>();
  readonly #groupOf = new Map<Shim, SharingGroup>();

  get size(): number {
    return this.#groups.size;
  }

  /** The group of this name; a new one where there is none. */
  get(name: string): SharingGroup {
    const known = this.#groups.get(name);
    if (known !== undefined) return known;
    const group: SharingGroup = { name, shims: new Set(), starting: new Set() };
    this.#groups.set(name, group);
    return group;
  }

  has(shim: Shim): boolean {
    return this.#groupOf.has(shim);
  }

  add(group: SharingGroup, shim: Shim): void {
    group.shims.add(shim);
    this.#groupOf.set(shim, group);
    this.#groups.set(group.name, this.#groups.get(group.name) ?? group);
  }

  remove(shim: Shim): void {
    const group = this.#groupOf.get(shim);
    if (group === undefined) return;
    this.#groupOf.delete(shim);
    group.shims.delete(shim);
    this.#drop(group);
  }

  addStart(group: SharingGroup, start: ShimStart): void {
    group.starting.add(start);
    start.promise
      .finally(() => {
        group.starting.delete(start);
        this.#drop(group);
      })
      .catch(() => undefined);
  }

  #drop(group: SharingGroup): void {
    if (group.shims.size > 0 || group.starting.size > 0) return;
    if (this.#groups.get(group.name) === group) this.#groups.delete(group.name);
  }
}
