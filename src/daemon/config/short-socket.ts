import { createHash } from 'node:crypto';
import path from 'node:path';
import { defaultDirectories, type Surroundings } from '../../shared/defaults.ts';

/**
 * Where shims publish events when the state directory's path is too long for a socket: beside the default state
 * directory, in one named after the real one. The same at every start, since running shims keep the address.
 */
export function shortEventsSocket(state: string, surroundings?: Surroundings): string {
  const hash = createHash('sha256').update(state).digest('hex').slice(0, 16);
  return path.join(`${defaultDirectories(surroundings).state}-${hash}`, 'events.sock');
}
