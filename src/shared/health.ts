/**
 * - `ok`: as it should be.
 * - `degraded`: it works, but late, or not all of it.
 * - `failed`: what it is there for does not work now.
 */
export type HealthState = 'ok' | 'degraded' | 'failed';

/** What is wrong with a component. */
export interface Trouble {
  readonly state: Exclude<HealthState, 'ok'>;
  /** For people; may quote what others said. */
  readonly reason: string;
  /** Milliseconds since 1970; absent where only the present is known. */
  readonly since?: number | undefined;
}

/** What a part of the daemon says of one component. */
export interface Finding {
  readonly component: string;
  /** Absent where it is as it should be. */
  readonly trouble?: Trouble | undefined;
}

/** How a component is. Names: `store`, `slot/0`, `shim/NAMESPACE/ID`, …. */
export interface ComponentHealth {
  readonly component: string;
  readonly state: HealthState;
  /** Since when it is in trouble, or is not, in milliseconds since 1970. */
  readonly since: number;
  /** Empty where it is ok. */
  readonly reason: string;
}

/** What cannot be done without: where one of them has failed the daemon has. */
export type Essential = 'store' | 'slots';

export const storeComponent = 'store';
export const slotComponent = (id: number): string => `slot/${id}`;

/** Which of the essential parts have failed: the store, or every slot. */
export function failedEssentials(components: readonly ComponentHealth[]): ReadonlySet<Essential> {
  const failed = new Set<Essential>();
  if (components.some(({ component, state }) => component === storeComponent && state === 'failed'))
    failed.add('store');
  const slots = components.filter(({ component }) => component.startsWith('slot/'));
  if (slots.length > 0 && slots.every(({ state }) => state === 'failed')) failed.add('slots');
  return failed;
}

/** The daemon as a whole: failed where something essential has, degraded where anything is not ok. */
export function overallHealth(components: readonly ComponentHealth[]): HealthState {
  if (failedEssentials(components).size > 0) return 'failed';
  return components.some(({ state }) => state !== 'ok') ? 'degraded' : 'ok';
}

/** Whichever of two is worse. */
export function worse(one: Trouble | undefined, other: Trouble | undefined): Trouble | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one.state === 'failed' || other.state !== 'failed' ? one : other;
}
