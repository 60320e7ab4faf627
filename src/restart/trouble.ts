import type { RestartConfig } from './config.ts';
import type { Decision, Situation } from './decide.ts';

/** Why the task of a service is not there, or not for long, although it shall be. */
export interface ServiceTrouble {
  /** When it began, in milliseconds since 1970. */
  readonly since: number;
  readonly reason: string;
}

/**
 * Pure: what is wrong with a service that was looked at; undefined where nothing is, or nothing is to be done. One first
 * restart is no trouble yet, and one that just succeeded not yet the end of it.
 */
export function troubleOf(
  { wish, seen, attempt, now }: Situation,
  decision: Decision,
  context: {
    readonly config: RestartConfig;
    readonly before: ServiceTrouble | undefined;
    /** Why the latest attempt failed. */
    readonly error: string | undefined;
  },
): ServiceTrouble | undefined {
  const { config, before, error } = context;
  if (wish.kind !== 'running') return undefined;
  const since = before?.since ?? now;
  const { last } = attempt;
  if (seen.kind === 'alive') {
    return last !== undefined && now - last.at < config.healthyAfter ? before : undefined;
  }
  if (decision.kind === 'leave' || decision.kind === 'stop') return undefined;
  if (attempt.kind === 'failed') {
    return { since, reason: `${attempt.last.row} restarts in a row failed: ${error ?? 'for an unknown reason'}` };
  }
  const pause = seen.kind === 'ended' && decision.kind === 'wait' ? decision.until - seen.at : 0;
  if (pause <= config.firstPause) return before;
  return {
    since,
    reason: `it ended soon after each of ${last?.row ?? 1} restarts, and the next one waits ${pause} ms`,
  };
}
