import { readFileSync } from 'node:fs';
import { configurationError } from './exit-code.ts';

/** The number of a group that was given by name or number. Knows the groups of /etc/group, no network directory. */
export function groupNumber(group: string | number, database = '/etc/group'): number {
  if (typeof group === 'number') return group;
  if (/^\d+$/.test(group)) return Number(group);
  for (const line of readFileSync(database, 'utf8').split('\n')) {
    const [name, , number] = line.split(':');
    if (name === group && number !== undefined) return Number(number);
  }
  throw configurationError(
    `socket_group: there is no group ${JSON.stringify(group)} in ${database}; create it or use a number`,
  );
}
