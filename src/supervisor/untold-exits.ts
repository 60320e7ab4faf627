import { TaskError } from '../shared/errors/index.ts';
import type { Context } from './context.ts';

/**
 * An exit is stored, then its event recorded, and no other event comes between: of a daemon that was killed right there the
 * log ends with the very cursor that the exit was stored with. Its event is recorded now, before any other one. Call it
 * once a start, before anything is published.
 */
export function recordUntold({
  exits,
  sandboxExits,
  events,
  sandboxEvents,
  logger,
}: Pick<Context, 'exits' | 'sandboxExits' | 'events' | 'sandboxEvents' | 'logger'>): void {
  const { cursor } = events;
  if (cursor === undefined) return;
  for (const { process, exit } of exits.list()) {
    if (exit.after !== cursor) continue;
    logger.info('exit had no event', { ...process, status: exit.status });
    try {
      // First: where the daemon is killed again, its event is still missing, or it is owed.
      exits.setOwed(process, 'anybody');
    } catch (error) {
      logger.error('exit not noted as owed', { ...process, error: TaskError.from(error).message });
    }
    events.record(process, exit);
    return;
  }
  for (const { sandbox: ref, exit } of sandboxExits.list()) {
    if (exit.after !== cursor) continue;
    logger.info('exit had no event', { ...ref, status: exit.status });
    sandboxEvents.exited({ ref, endedUnseen: true }, exit);
    return;
  }
}
